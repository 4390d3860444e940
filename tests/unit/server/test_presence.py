"""When an agent was last seen is written, also when the database was busy at first."""

from __future__ import annotations

from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from agent.server.agent_record import AgentRecord
from agent.server.db.tables import AGENTS
from agent.server.operations.presence import PresenceLog
from agent.server.registry import Change, RegistryEvent
from agent.server.tunnel import Tunnel
from agent.store_url import parse_store
from agent.streams import ByteSession
from agent.tunnel.messages import Goodbye
from tests.kit.control_plane import ControlApi


class NoLink:
    """A link that is never used."""

    async def open_channel(self, session: ByteSession) -> None: ...

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None: ...

    def drain(self, reason: str, retry_after_s: float | None) -> None: ...


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


async def last_seen(api: ControlApi, agent_id: str) -> float | None:
    """What the database says."""
    async with api.plane.read() as connection:
        found = await connection.execute(select(AGENTS.c.last_heartbeat_at).where(AGENTS.c.id == agent_id))
        return found.scalar_one()  # type: ignore[no-any-return]  # a column of the table
