"""Instances that were turned away, written to the audit trail: a token that was copied does not join silently."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from agent.server.db.tables import AUDIT
from agent.server.operations.control_plane import ControlPlane

AGAIN_AFTER_S: Final = 3600.0
"""One that is turned away comes back every half minute: it is written once an hour."""

PER_AGENT_MAX: Final = 20
"""Instances of one agent that are written per hour: whoever has its token can make up ever new ones."""

PENDING_MAX: Final = 200
REMEMBERED_MAX: Final = 1000

_LOG = structlog.get_logger()


class PlaceAudit:
    """``note`` takes what the SSH endpoint tells and never waits; ``run`` writes it. ``clock`` is Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._pending: deque[dict[str, object]] = deque(maxlen=PENDING_MAX)
        self._written: dict[tuple[str, str], float] = {}
        self._wake = asyncio.Event()

    def note(self, action: str, fields: Mapping[str, str]) -> None:
        """One instance was turned away; ``fields`` name agent, instance, host and peer, escaped, no secret."""
        now = self._clock()
        who = (fields.get("agent_id", ""), fields.get("instance_id", ""))
        if abs(now - self._written.get(who, -AGAIN_AFTER_S)) < AGAIN_AFTER_S:
            return
        lately = [key for key, at in self._written.items() if key[0] == who[0] and abs(now - at) < AGAIN_AFTER_S]
        if len(lately) >= PER_AGENT_MAX:
            return
        self._written.pop(who, None)
        self._written[who] = now
        if len(self._written) > REMEMBERED_MAX:
            del self._written[next(iter(self._written))]  # the one written longest ago
        entry = {"at": now, "actor": "server", "action": action, "subject": who[0][:200], "detail": dict(fields)}
        self._pending.append(entry)
        self._wake.set()

    async def run(self, plane: ControlPlane) -> None:
        """Write what was noted, until cancelled; call ``flush`` afterwards."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush(plane)

    async def flush(self, plane: ControlPlane) -> None:
        """Write what is noted now."""
        entries = list(self._pending)
        if not entries:
            return
        try:
            async with plane.note() as connection:
                await connection.execute(insert(AUDIT), entries)
        except SQLAlchemyError as error:  # a locked database, say: tried again with the next event
            _LOG.warning("audit.not_written", entries=len(entries), error=type(error).__name__)
            return
        for entry in entries:
            if entry in self._pending:
                self._pending.remove(entry)
