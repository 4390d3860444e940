"""When and as what each agent was last seen, written to the database so that it survives a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from sqlalchemy import case, func, update
from sqlalchemy.exc import SQLAlchemyError

from agent.server.db.tables import AGENTS
from agent.server.operations.control_plane import ControlPlane
from agent.server.registry import Change, RegistryEvent
from agent.server.tunnel import Tunnel
from agent.tunnel.messages import Grant
from agent.tunnel.text import printable

GRANTS_KEPT_MAX = 50

_LOG = structlog.get_logger()


def said_through(tunnel: Tunnel) -> dict[str, Any]:
    """What an agent said of itself in the hello of this tunnel, as its record has it; texts are escaped."""
    return {
        "version": printable(tunnel.version, 36),
        "host": printable(tunnel.host, 200) or None,
        "peer": tunnel.peer[:100],
        "grants": [
            Grant.from_rule(rule, tunnel.paused.get(rule.store)).model_dump(mode="json")
            for rule in tunnel.rules[:GRANTS_KEPT_MAX]
        ],
    }


class PresenceLog:
    """Takes the registry's events and writes them, newest per agent; writing never delays a tunnel."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._pending: dict[str, dict[str, Any]] = {}
        self._wake = asyncio.Event()

    def note(self, event: RegistryEvent) -> None:
        """Take one event; to be subscribed to the registry."""
        if event.change in (Change.LEAVING, Change.DRAINING):
            return
        tunnel = event.tunnel
        # The tunnel that an event is about may not be the one that was heard last.
        before = self._pending.get(tunnel.agent_id, {}).get("last_heartbeat_at", 0.0)
        self._pending[tunnel.agent_id] = {
            "last_heartbeat_at": max(before, tunnel.last_heartbeat_at),
            **said_through(tunnel),
        }
        self._wake.set()

    async def run(self) -> None:
        """Write what was noted, until cancelled; call ``flush`` afterwards."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what is noted now."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            async with self._plane.note() as connection:
                for agent_id, values in pending.items():
                    kept = func.coalesce(AGENTS.c.last_heartbeat_at, 0.0)
                    newest = case((kept > values["last_heartbeat_at"], kept), else_=values["last_heartbeat_at"])
                    written = values | {"last_heartbeat_at": newest}
                    await connection.execute(update(AGENTS).where(AGENTS.c.id == agent_id).values(**written))
        except SQLAlchemyError as error:  # a locked database, say: tried again with the next event
            _LOG.warning("agent.presence_not_written", agents=len(pending), error=type(error).__name__)
            self._take_back(pending)
        except asyncio.CancelledError:  # the end of the server: its last flush is to come
            self._take_back(pending)
            raise

    def _take_back(self, pending: dict[str, dict[str, Any]]) -> None:
        for agent_id, values in pending.items():
            newer = self._pending.setdefault(agent_id, values)
            newer["last_heartbeat_at"] = max(newer["last_heartbeat_at"], values["last_heartbeat_at"])
