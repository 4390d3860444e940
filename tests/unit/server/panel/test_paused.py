"""What the server shows of a store that the shop's own administrator has paused."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from agent.pause import Pause
from agent.policy import METHODS, Rule
from agent.server.cli.agent_page import show_agent
from agent.server.db.tables import AGENTS
from agent.server.registry import Registry
from agent.server.tunnel_snapshot import TunnelSnapshot
from agent.tunnel.messages import Grant, Hello, decode
from tests.kit.control_plane import ControlApi
from tests.kit.panel import Panel
from tests.unit.server.panel.test_connection_pages import STORE, tunnel

RULE = Rule(STORE, frozenset(METHODS))
NOW = 1_795_687_200.0  # 2026-11-26 10:00 UTC
PAUSE = Pause(NOW, None, "stocktaking <b>")


async def test_the_pages_say_since_when_and_what_ends_it(
    panel: Panel, api: ControlApi, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = (await api.agent())["agent"]
    await api.connection(mode="on-premise", agent="warehouse")
    api.plane.registry = Registry()
    here = tunnel(agent["id"], RULE)
    here.set_rules((RULE,), {STORE: PAUSE})
    api.plane.registry.add(here)
    page = (await panel.get("/connections/shop-lyon", "viewer")).text
    assert "paused by the shop</span>" in page
    assert "has paused this store since 2026-11-26 10:00 UTC (stocktaking &lt;b&gt;). Nobody else can end that" in page
    page = (await panel.get(f"/agents/{agent['id']}", "viewer")).text
    assert "paused by the shop</span>" in page
    assert "stocktaking &lt;b&gt;" in page
    shown = (await api.call("GET", f"agents/{agent['id']}"))[1]
    assert shown["grants"][0]["paused"] == {"since": NOW, "until": None, "reason": "stocktaking <b>"}
    show_agent(shown)
    assert "; paused by the shop since 2026-11-26" in capsys.readouterr().out
    assert TunnelSnapshot.of(here).paused == {str(STORE): PAUSE}
    here.set_rules((RULE,))
    assert "paused" not in (await panel.get("/connections/shop-lyon", "viewer")).text


async def test_what_was_said_last_ends_by_its_time(panel: Panel, api: ControlApi) -> None:
    agent = (await api.agent())["agent"]
    await api.connection(mode="on-premise", agent="warehouse")
    now = api.plane.clock()
    for until, paused in ((now - 1, False), (now + 3600, True), (None, True)):
        kept = [Grant.from_rule(RULE, Pause(now - 60, until)).model_dump(mode="json")]
        async with api.plane.note() as connection:
            await connection.execute(update(AGENTS).where(AGENTS.c.id == agent["id"]).values(grants=kept))
        page = (await panel.get("/connections/shop-lyon", "viewer")).text
        assert ("paused by the shop</span>" in page) is paused


def test_a_hello_carries_it_and_cannot_forge_a_line() -> None:
    forged = Grant.from_rule(RULE, PAUSE).model_dump(mode="json", exclude_defaults=True)
    forged["paused"] |= {"reason": "a\n\u202eb" + "x" * 249, "more": 1}
    said = Hello(version="1", instance_id="i").model_copy(update={"stores": [Grant.model_validate(forged)]})
    read = decode(said.encode())
    assert isinstance(read, Hello)
    pause = read.paused[STORE]
    assert (pause.since, pause.until) == (NOW, None)
    assert pause.reason.startswith("a\\n\\u202ebx")
    assert len(pause.reason) <= 200
    bare = Hello(version="1", instance_id="i", stores=[Grant.from_rule(RULE)])
    assert b"paused" not in bare.encode()
