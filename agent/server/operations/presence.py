"""When and as what each agent was last seen, written to the database so that it survives a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from agent.server.db.tables import AGENTS
from agent.server.operations.control_plane import ControlPlane
from agent.server.registry import Change, RegistryEvent
from agent.tunnel.messages import Grant
from agent.tunnel.text import printable

GRANTS_KEPT_MAX = 50

_LOG = structlog.get_logger()


class PresenceLog:
    """Takes the registry's events and writes them, newest per agent; writing never delays a tunnel."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._pending: dict[str, dict[str, Any]] = {}
        self._wake = asyncio.Event()

    def note(self, event: RegistryEvent) -> None:
        """Take one event; to be subscribed to the registry."""
        if event.change is Change.DRAINING:
            return
        tunnel = event.tunnel
        self._pending[tunnel.agent_id] = {
            "last_heartbeat_at": tunnel.last_heartbeat_at,
            "version": printable(tunnel.version, 36),
            "host": printable(tunnel.host, 200) or None,
            "grants": [Grant.from_rule(rule).model_dump(mode="json") for rule in tunnel.rules[:GRANTS_KEPT_MAX]],
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
                    await connection.execute(update(AGENTS).where(AGENTS.c.id == agent_id).values(**values))
        except SQLAlchemyError as error:  # a locked database, say: tried again with the next event
            _LOG.warning("agent.presence_not_written", agents=len(pending), error=type(error).__name__)
            self._pending = pending | self._pending
