"""What a connection says of its fast path: on, or why not, and once per process that it cannot be had."""

from __future__ import annotations

from collections.abc import Iterator

import asyncssh
import pytest
from structlog.testing import capture_logs

from agent.tunnel import acceleration, fastpath_check
from agent.tunnel.acceleration import accelerate
from tests.kit.ssh_pair import ssh_pair


@pytest.fixture(autouse=True)
def _looked_at_anew() -> Iterator[None]:
    for each in (acceleration._warn, fastpath_check.why_not):
        each.cache_clear()
    yield
    for each in (acceleration._warn, fastpath_check.why_not):
        each.cache_clear()


async def test_it_is_on_and_counts() -> None:
    async with ssh_pair(fast_client=False, fast_server=False) as pair:
        found = accelerate(pair.client.conn, is_wanted=True)
        assert found.log_fields() == {"fast_path": True}
        pair.client.conn.send_packet(98, b"")
        assert found.packets_sent == 1


async def test_it_says_why_it_is_off_and_warns_once_of_what_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ssh_pair(fast_client=False, fast_server=False) as pair:
        with capture_logs() as logs:
            assert accelerate(pair.client.conn, is_wanted=False).log_fields() == {
                "fast_path": False,
                "fast_path_reason": "switched off",
            }
            assert not logs
            monkeypatch.setattr(asyncssh, "__version__", "2.99.0")
            for _ in range(2):
                found = accelerate(pair.client.conn, is_wanted=True)
                assert (found.path, found.packets_sent) == (None, 0)
                assert found.reason == "asyncssh 2.99.0 was not verified with it, but 2.24.1"
        assert [(each["log_level"], each["event"]) for each in logs] == [("warning", "fast_path.unavailable")]
