"""What tests of a connection are told as: at once or after the second failure, never twice, also after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.doctor.report import CheckReport
from agent.server.operations.checks import ConnectionTest
from agent.server.operations.connection_watch import FAIL_AGAIN_AFTER_S, keep_test, threshold_of
from agent.server.operations.notices import list_notices
from agent.server.operations.paging import Paging
from tests.kit.control_plane import ControlApi, control_api

DAY_S = 86_400.0


class Site:
    """One connection, whose tests are made up, on a clock that is turned by hand."""

    def __init__(self, api: ControlApi, connection_id: str, now: float = 1_000_000.0) -> None:
        self.api = api
        self.id = connection_id
        self.now = now
        api.plane.clock = lambda: self.now

    async def test(self, verdict: str, *, after_s: float = 60.0, ends_at: float | None = None) -> list[str]:
        """Events of all notices after one more test, oldest first."""
        self.now += after_s
        ok = verdict == "ok"
        report = CheckReport(ok, verdict, "Finding.", "Remedy.", (), certificate_ends_at=ends_at)
        await keep_test(self.api.plane, ConnectionTest(self.id, "shop-lyon", report), "schedule")
        return await self.told()

    async def told(self) -> list[str]:
        found = await list_notices(self.api.plane, Paging())
        return [notice.event.removeprefix("connection.") for notice in reversed(found.items)]


async def site_of(api: ControlApi) -> Site:
    return Site(api, (await api.connection())["id"])


async def test_a_key_that_stops_working_is_told_at_once_and_once(api: ControlApi) -> None:
    site = await site_of(api)
    assert await site.test("ok") == []
    assert await site.test("key_unknown") == ["key_failed"]
    assert await site.test("key_unknown") == ["key_failed"]
    assert await site.test("ok") == ["key_failed", "recovered"]
    assert await site.test("ok") == ["key_failed", "recovered"]


async def test_a_key_that_never_worked_is_the_matter_of_whoever_sets_it_up(api: ControlApi) -> None:
    site = await site_of(api)
    assert await site.test("key_unknown") == []
    assert await site.test("key_unknown") == []


async def test_other_failures_are_told_when_they_are_two_in_a_row(api: ControlApi) -> None:
    site = await site_of(api)
    await site.test("ok")
    assert await site.test("store_unreachable") == []
    assert await site.test("ok") == []
    assert await site.test("store_unreachable") == []
    assert await site.test("store_timeout") == ["failed"]
    assert await site.test("agent_offline") == ["failed"]
    assert await site.test("ok") == ["failed", "recovered"]


async def test_an_agent_that_is_away_is_not_the_connections_failure(api: ControlApi) -> None:
    site = await site_of(api)
    await site.test("ok")
    for _ in range(3):
        assert await site.test("agent_offline") == []


async def test_a_flapping_connection_is_told_of_once_an_hour(api: ControlApi) -> None:
    site = await site_of(api)
    await site.test("ok")
    told: list[str] = []
    for _ in range(60):
        await site.test("store_timeout", after_s=30)
        await site.test("store_timeout", after_s=30)
        told = await site.test("ok", after_s=60)
    assert told == ["failed", "recovered"] * 2
    assert FAIL_AGAIN_AFTER_S == 3600


async def test_nothing_is_told_twice_after_a_restart(tmp_path: Path) -> None:
    async with control_api(tmp_path / "data") as api:
        site = await site_of(api)
        await site.test("ok")
        assert await site.test("key_unknown") == ["key_failed"]
    async with control_api(tmp_path / "data") as api:
        again = Site(api, site.id, site.now)
        assert await again.test("key_unknown") == ["key_failed"]
        assert await again.test("ok") == ["key_failed", "recovered"]


async def test_a_certificate_is_told_of_at_each_step_once(api: ControlApi) -> None:
    site = await site_of(api)
    ends_at = site.now + 30 * DAY_S
    told = []
    for _ in range(60):
        told = await site.test("ok", after_s=DAY_S / 2, ends_at=ends_at)
    assert told == ["certificate_ends"] * 4
    assert await site.test("ok", after_s=0, ends_at=ends_at + 20 * DAY_S) == ["certificate_ends"] * 5


@pytest.mark.parametrize(
    ("days", "warning", "step"),
    [(22, 21, None), (21, 21, 21), (8, 21, 21), (7, 21, 7), (2.5, 21, 3), (0.5, 21, 1), (-1, 21, 1), (6, 5, None)],
)
def test_steps_of_a_certificate(days: float, warning: int, step: int | None) -> None:
    assert threshold_of(days, warning) == step
