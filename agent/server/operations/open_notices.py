"""Notices of what has not been put right yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import func, select

from agent.server.db.watch_tables import NOTICES
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.notices import Notice, notice_of
from agent.server.operations.test_history import TestRecord

FRESH_S: Final = 86_400.0
"""How long that is open which nothing puts right: a further instance that was turned away."""

_ENDS: Final[Mapping[str, str]] = {
    "agent.offline": "agent.online",
    "connection.failed": "connection.recovered",
    "connection.key_failed": "connection.recovered",
}


async def open_notices(plane: ControlPlane, subjects: Collection[str], tests: Mapping[str, TestRecord]) -> list[Notice]:
    """The newest notice of each trouble of ``subjects`` (``agent/ID``, ``connection/ID``) that goes on, newest first.

    ``tests`` are the newest tests by connection id: they tell whether a certificate that was told of is still in use.
    """
    newest = select(func.max(NOTICES.c.id)).group_by(NOTICES.c.subject, NOTICES.c.event)
    async with plane.read() as connection:
        rows = (await connection.execute(select(NOTICES).where(NOTICES.c.id.in_(newest)))).mappings()
        found = {(row["subject"], row["event"]): notice_of(row) for row in rows if row["subject"] in subjects}
    now = plane.clock()
    still_open = [notice for notice in found.values() if _is_open(notice, found, tests, now)]
    return sorted(still_open, key=lambda notice: notice.id, reverse=True)


def _is_open(
    notice: Notice, found: Mapping[tuple[str, str], Notice], tests: Mapping[str, TestRecord], now: float
) -> bool:
    subject, event = notice.subject, notice.event
    if event == "agent.second_instance":
        return now - notice.at < FRESH_S
    if event == "connection.certificate_ends":
        test = tests.get(subject.removeprefix("connection/"))
        ends_at = test.report.certificate_ends_at if test is not None else None
        return ends_at is None or ends_at == notice.detail.get("ends_at")
    if event not in _ENDS:
        return False
    # A connection whose key fails has failed as well: of its troubles only the newest is open.
    others = [found.get((subject, other)) for other in (*_ENDS, *_ENDS.values()) if other != event]
    return all(other is None or other.id < notice.id for other in others)
