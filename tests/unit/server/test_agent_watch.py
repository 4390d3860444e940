"""Agents that go and come back: told when it lasts, bounded when they flap, once after a restart of the server."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from sqlalchemy import insert, update

from agent.server.agent_record import AgentRecord
from agent.server.db.tables import AGENTS, AUDIT
from agent.server.operations.agent_watch import OFFLINE_AGAIN_AFTER_S, PLACE_TAKEN, AgentWatch, span
from agent.server.operations.notices import list_notices
from agent.server.operations.paging import Paging
from agent.server.registry import Registry
from agent.server.tunnel import Tunnel
from agent.store_url import parse_store
from tests.kit.control_plane import ControlApi, control_api
from tests.kit.no_link import NoLink

AFTER_S = 60.0


class Site:
    """One agent that was installed, whose tunnel comes and goes, on a clock that is turned by hand."""

    def __init__(self, api: ControlApi, registry: Registry, now: list[float], agent_id: str) -> None:
        self.api = api
        self.registry = registry
        self.now = now
        record = AgentRecord(agent_id, "warehouse", plain_store=parse_store("http://shop.example/"))
        self.tunnel = Tunnel.from_plain(record, NoLink(), "127.0.0.1:1", "SSH-2.0-x", 1.0)
        api.plane.clock = lambda: now[0]
        self.watch = AgentWatch(api.plane, AFTER_S)

    async def after(self, seconds: float) -> list[str]:
        """Look every 2 s for so long; the events of all notices, oldest first."""
        end = self.now[0] + seconds
        while self.now[0] < end:
            self.now[0] += 2.0
            await self.watch.look()
        return [notice.event for notice in reversed((await list_notices(self.api.plane, Paging())).items)]


async def site_of(api: ControlApi, registry: Registry, now: list[float]) -> Site:
    agent_id = (await api.agent())["agent"]["id"]
    async with api.plane.note() as connection:
        await connection.execute(update(AGENTS).values(last_heartbeat_at=1.0))
    return Site(api, registry, now, agent_id)


async def test_a_restart_is_none_and_a_long_absence_is_told_with_its_length(tmp_path: Path) -> None:
    now = [1_000_000.0]
    registry = Registry(clock=lambda: now[0])
    async with control_api(tmp_path / "data", registry=registry) as api:
        site = await site_of(api, registry, now)
        registry.add(site.tunnel)
        assert await site.after(10) == []
        registry.remove(site.tunnel, "gone")
        assert await site.after(AFTER_S - 10) == []
        registry.add(site.tunnel)
        assert await site.after(100) == []
        registry.remove(site.tunnel, "gone")
        assert await site.after(200) == ["agent.offline"]
        registry.add(site.tunnel)
        assert await site.after(20) == ["agent.offline"], "it has to stay"
        assert await site.after(40) == ["agent.offline", "agent.online"]
        back = (await list_notices(api.plane, Paging())).items[0]
        assert 198 <= back.detail["away_s"] <= 204
        assert '"warehouse"' in back.sentence


async def test_nothing_is_told_twice_after_a_restart_of_the_server(tmp_path: Path) -> None:
    now = [1_000_000.0]
    registry = Registry(clock=lambda: now[0])
    async with control_api(tmp_path / "data", registry=registry) as api:
        site = await site_of(api, registry, now)
        assert await site.after(200) == ["agent.offline"]
    registry = Registry(clock=lambda: now[0])
    async with control_api(tmp_path / "data", registry=registry) as api:
        again = Site(api, registry, now, site.tunnel.agent_id)
        assert await again.after(OFFLINE_AGAIN_AFTER_S + 200) == ["agent.offline"], "also when it could be told again"
        registry.add(again.tunnel)
        assert await again.after(60) == ["agent.offline", "agent.online"]


async def test_a_flapping_agent_makes_a_bounded_number_of_notices(tmp_path: Path) -> None:
    now = [1_000_000.0]
    registry = Registry(clock=lambda: now[0])
    async with control_api(tmp_path / "data", registry=registry) as api:
        site = await site_of(api, registry, now)
        told: list[str] = []
        for _ in range(24):
            registry.add(site.tunnel)
            await site.after(50)
            registry.remove(site.tunnel, "gone")
            told = await site.after(100)
        assert 2 <= told.count("agent.offline") <= 3600 / OFFLINE_AGAIN_AFTER_S + 1


async def test_an_agent_that_was_never_installed_is_not_missed(tmp_path: Path) -> None:
    now = [1_000_000.0]
    async with control_api(tmp_path / "data", registry=Registry(clock=lambda: now[0])) as api:
        assert api.plane.registry is not None
        site = await site_of(api, api.plane.registry, now)
        async with api.plane.note() as connection:
            await connection.execute(update(AGENTS).values(last_heartbeat_at=None))
        assert await site.after(200) == []


async def test_a_second_instance_is_told_of_once_an_hour(tmp_path: Path) -> None:
    now = [1_000_000.0]
    registry = Registry(clock=lambda: now[0])
    async with control_api(tmp_path / "data", registry=registry) as api:
        site = await site_of(api, registry, now)
        registry.add(site.tunnel)
        for _ in range(8):
            async with api.plane.note() as connection:
                line = {"at": now[0], "actor": "server", "action": PLACE_TAKEN, "detail": {}}
                await connection.execute(insert(AUDIT).values(subject=site.tunnel.agent_id, **line))
            told = await site.after(900)
        assert told == ["agent.second_instance"] * 2


def test_spans_are_said_as_people_say_them() -> None:
    assert [span(s) for s in (45, 720, 10_800, 200_000)] == ["45 s", "12 min", "3 h", "2 days"]


async def test_a_defect_does_not_end_the_watch(tmp_path: Path) -> None:
    looked = asyncio.Queue[int]()

    class Defective(AgentWatch):
        async def look(self) -> None:
            looked.put_nowait(1)
            raise KeyError("a defect")

    async with control_api(tmp_path) as api:
        running = asyncio.create_task(Defective(api.plane, AFTER_S, tick_s=0.001).run())
        async with asyncio.timeout(5):
            for _ in range(3):
                await looked.get()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
