"""What only the database knows, asked for once per scrape, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from agent.server.db.watch_tables import CONNECTION_TESTS, NOTICE_DELIVERIES, NOTICE_TARGETS, NOTICES
from agent.server.operations.control_plane import ControlPlane

ASKED_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the newest test of a connection; ``certificate_ends_at`` is unix time, None without one."""

    ok: bool
    certificate_ends_at: float | None


@dataclass(frozen=True, slots=True)
class Stored:
    """``oldest_waiting_at`` is unix time, None when no delivery waits; ``tests`` are by connection id.

    Without ``usable`` nothing else is known.
    """

    usable: bool = False
    notices_waiting: int = 0
    oldest_waiting_at: float | None = None
    tests: Mapping[str, Outcome] = field(default_factory=dict)


async def is_usable(plane: ControlPlane) -> bool:
    """Does the database answer in time?"""
    try:
        async with asyncio.timeout(ASKED_S), plane.read() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, TimeoutError, OSError):
        return False
    return True


async def read_stored(plane: ControlPlane) -> Stored:
    """Ask for it; a database that does not answer in time is no error here."""
    newest = select(func.max(CONNECTION_TESTS.c.id)).group_by(CONNECTION_TESTS.c.connection_id)
    tests = select(CONNECTION_TESTS.c.connection_id, CONNECTION_TESTS.c.ok, CONNECTION_TESTS.c.report)
    waiting = (
        select(func.count(), func.min(NOTICES.c.at))
        .select_from(NOTICE_DELIVERIES.join(NOTICES).join(NOTICE_TARGETS))
        .where(NOTICE_DELIVERIES.c.next_at.is_not(None), NOTICE_TARGETS.c.enabled)
    )
    try:
        async with asyncio.timeout(ASKED_S), plane.read() as connection:
            number, oldest_at = (await connection.execute(waiting)).one()
            rows = await connection.execute(tests.where(CONNECTION_TESTS.c.id.in_(newest)))
            outcomes = {row.connection_id: Outcome(bool(row.ok), row.report.get("certificate_ends_at")) for row in rows}
    except (SQLAlchemyError, TimeoutError, OSError):
        return Stored()
    return Stored(True, number, oldest_at, outcomes)
