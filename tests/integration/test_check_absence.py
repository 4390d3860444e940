"""The test of a connection whose agent is not there: each reason in its own words, each with something to do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from agent.doctor.answer import ProbeAnswer
from agent.server.db.tables import AGENTS
from agent.server.operations.store_choice import read_candidates
from agent.server.registry import Registry
from agent.server.routes import Route
from tests.kit.control_plane import ControlApi, control_api

HEARD_AT = 1_764_000_000.0
"""2025-11-24 at 16:00:00 UTC."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ControlApi]:
    """A server to which no agent is connected."""

    async def never(route: Route, rest: bytes) -> ProbeAnswer:
        raise AssertionError("nobody is there to be asked")

    async with control_api(tmp_path / "data", registry=Registry(), exchange=never) as opened:
        yield opened


async def installed(api: ControlApi) -> None:
    """The agent was heard of once."""
    async with api.plane.note() as connection:
        await connection.execute(update(AGENTS).values(last_heartbeat_at=HEARD_AT))


@pytest.mark.parametrize(
    ("verdict", "was_there", "action", "finding", "remedy"),
    [
        ("agent_offline", False, "", "has never connected", "Install it on the store's network"),
        ("agent_offline", True, "", "last heard of on 2025-11-24 at 16:00:00 UTC", "systemctl status prestashop-agent"),
        ("agent_disabled", True, "disable", "is disabled, and turned away", 'agents enable "warehouse"'),
        ("agent_revoked", True, "revoke", "is revoked", "Agents > Create agent"),
        ("agent_revoked", False, "revoke", "is revoked", "Agents > Create agent"),
    ],
)
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "unsaved"])
async def test_why_an_agent_is_not_there(
    api: ControlApi, verdict: str, was_there: bool, action: str, finding: str, remedy: str, saved: bool
) -> None:
    await api.agent()
    made = await api.connection(mode="on-premise", agent="warehouse", store_url="http://10.0.0.5/api/")
    if was_there:
        await installed(api)
    if action:
        assert (await api.call("POST", f"agents/warehouse/{action}"))[0] == 200
    status, report = await api.call("POST", f"connections/{made['slug']}/test")
    if not saved:
        wish = {"name": "new", "mode": "on-premise", "agent": "warehouse", "store_url": "http://10.0.0.5/api/"}
        status, report = await api.call("POST", "connections/test", wish | {"api_key": "K" * 32})
        if verdict == "agent_revoked":
            assert (status, "is revoked: choose another one" in report["detail"]) == (422, True)
            return
    assert status == 200, report
    (step,) = report["steps"]
    assert (report["ok"], report["verdict"], step["layer"], step["state"]) == (False, verdict, "agent", "failed")
    assert 'The agent "warehouse"' in step["finding"]
    assert finding in step["finding"]
    assert remedy in step["remedy"]
    assert 0 <= step["elapsed_ms"] <= report["elapsed_ms"]
    _, history = await api.call("GET", f"connections/{made['slug']}/tests")
    assert [test["verdict"] for test in history] == [verdict]


@pytest.mark.parametrize("verdict", ["agent_offline"])
async def test_a_stock_ssh_client_is_looked_for_as_what_it_is(api: ControlApi, verdict: str) -> None:
    await api.agent(plain_store_url="http://10.0.0.5/api/")
    await api.connection(mode="on-premise", agent="warehouse", store_url="http://10.0.0.5/api/")
    await installed(api)
    _, report = await api.call("POST", "connections/shop-lyon/test")
    assert report["verdict"] == verdict
    assert "whether ssh -N -R still runs" in report["remedy"]
    assert "systemctl" not in report["remedy"]


async def test_candidates_are_not_waited_for_while_the_agent_is_away(api: ControlApi) -> None:
    url = "http://10.0.0.5/a/b/"
    assert len(read_candidates(url)) > 1
    await api.agent()
    wish = {"name": "new", "mode": "on-premise", "agent": "warehouse", "store_url": url, "api_key": "K" * 32}
    began = time.monotonic()
    status, problem = await api.call("POST", "connections/test", wish)
    assert (status, "agent_offline" in problem["detail"]) == (422, True)
    assert time.monotonic() - began < 5
