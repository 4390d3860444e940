"""When an agent was last seen is written, also when the database was busy at first."""

from __future__ import annotations

import asyncio

from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from agent.server.agent_record import AgentRecord
from agent.server.db.tables import AGENTS
from agent.server.operations.presence import PresenceLog
from agent.server.registry import Change, RegistryEvent
from agent.server.tunnel import Tunnel
from agent.store_url import parse_store
from tests.kit.control_plane import ControlApi
from tests.kit.no_link import NoLink


async def test_a_busy_database_delays_the_entry_but_does_not_lose_it(api: ControlApi) -> None:
    agent_id = (await api.agent())["agent"]["id"]
    store = parse_store("http://shop.example/")
    record = AgentRecord(agent_id, "warehouse", plain_store=store)
    presence = PresenceLog(api.plane)
    presence.note(RegistryEvent(Change.READY, Tunnel.from_plain(record, NoLink(), "127.0.0.1:1", "SSH-2.0-x", 77.0)))
    busy = [True]

    def refuse_once(*_: object) -> None:
        if busy:
            busy.clear()
            raise OperationalError("UPDATE agents", {}, Exception("database is locked"))

    event.listen(api.plane.engine.sync_engine, "before_cursor_execute", refuse_once)
    await presence.flush()
    assert not busy
    assert await last_seen(api, agent_id) is None
    await presence.flush()
    assert await last_seen(api, agent_id) == 77.0


async def test_what_was_being_written_when_the_server_ends_is_not_lost(api: ControlApi) -> None:
    agent_id = (await api.agent())["agent"]["id"]
    record = AgentRecord(agent_id, "warehouse", plain_store=parse_store("http://shop.example/"))
    presence = PresenceLog(api.plane)
    for heard_at in (99.0, 77.0):
        tunnel = Tunnel.from_plain(record, NoLink(), "127.0.0.1:1", "SSH-2.0-x", heard_at)
        presence.note(RegistryEvent(Change.REMOVED, tunnel))
        async with api.plane.read():  # holds nothing up, but gives the writer its first turns
            writing = asyncio.create_task(presence.flush())
            await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
    await presence.flush()
    assert await last_seen(api, agent_id) == 99.0


async def test_the_latest_heartbeat_counts_whichever_tunnel_is_told_of_last(api: ControlApi) -> None:
    agent_id = (await api.agent())["agent"]["id"]
    record = AgentRecord(agent_id, "warehouse", plain_store=parse_store("http://shop.example/"))
    presence = PresenceLog(api.plane)

    def note(heard_at: float) -> None:
        tunnel = Tunnel.from_plain(record, NoLink(), "127.0.0.1:1", "SSH-2.0-x", heard_at)
        presence.note(RegistryEvent(Change.REMOVED, tunnel))

    note(99.0)
    note(77.0)
    await presence.flush()
    assert await last_seen(api, agent_id) == 99.0
    note(88.0)
    await presence.flush()
    assert await last_seen(api, agent_id) == 99.0


async def last_seen(api: ControlApi, agent_id: str) -> float | None:
    """What the database says."""
    async with api.plane.read() as connection:
        found = await connection.execute(select(AGENTS.c.last_heartbeat_at).where(AGENTS.c.id == agent_id))
        return found.scalar_one()  # type: ignore[no-any-return]  # a column of the table
