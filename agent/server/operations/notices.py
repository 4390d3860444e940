"""Notices: what the server tells people by itself, kept, and put up for delivery to the targets that want it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from sqlalchemy import RowMapping, delete, func, insert, select

from agent.server.db.watch_tables import NOTICE_DELIVERIES, NOTICE_TARGETS, NOTICES
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.paging import Listed, Paging

NoticeEvent = Literal[
    "agent.offline",
    "agent.online",
    "agent.second_instance",
    "connection.key_failed",
    "connection.failed",
    "connection.recovered",
    "connection.certificate_ends",
]
EVENTS: Final[tuple[str, ...]] = get_args(NoticeEvent)
KEPT_S: Final = 90 * 86_400.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a notice came with one target: delivered, to be tried at ``next_at`` (unix time), or given up."""

    target: str
    attempts: int
    next_at: float | None
    delivered_at: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice; ``at`` is unix time, ``subject`` names the record for ever: ``agent/ID`` or ``connection/ID``."""

    id: int
    at: float
    event: str
    subject: str
    sentence: str
    detail: dict[str, Any]
    deliveries: tuple[Delivery, ...] = field(default=())


async def give_notice(
    plane: ControlPlane, event: NoticeEvent, subject: str, sentence: str, **detail: str | float | None
) -> None:
    """Keep a notice and put it up for every enabled target that wants this event. No secret in it."""
    async with plane.note() as connection:
        now = plane.clock()
        content = {"sentence": sentence, **detail}
        made = await connection.execute(
            insert(NOTICES).values(at=now, event=event, subject=subject[:200], detail=content).returning(NOTICES.c.id)
        )
        notice_id = made.scalar_one()
        targets = await connection.execute(
            select(NOTICE_TARGETS.c.id, NOTICE_TARGETS.c.events).where(NOTICE_TARGETS.c.enabled)
        )
        waiting = [
            {"notice_id": notice_id, "target_id": target_id, "attempts": 0, "next_at": now}
            for target_id, events in targets
            if events is None or event in events
        ]
        if waiting:
            await connection.execute(insert(NOTICE_DELIVERIES), waiting)
    if waiting:
        plane.deliveries_due.set()


async def newest_notices(plane: ControlPlane, events: Collection[NoticeEvent]) -> dict[str, Notice]:
    """The newest notice among these events, by subject: the state that outlives a restart."""
    newest = select(func.max(NOTICES.c.id)).where(NOTICES.c.event.in_(events)).group_by(NOTICES.c.subject)
    async with plane.read() as connection:
        rows = (await connection.execute(select(NOTICES).where(NOTICES.c.id.in_(newest)))).mappings()
        return {row["subject"]: notice_of(row) for row in rows}


async def newest_notice(plane: ControlPlane, subject: str, events: Collection[NoticeEvent]) -> Notice | None:
    """The same for one subject; None when there is none."""
    query = select(NOTICES).where(NOTICES.c.subject == subject, NOTICES.c.event.in_(events))
    async with plane.read() as connection:
        row = (await connection.execute(query.order_by(NOTICES.c.id.desc()).limit(1))).mappings().one_or_none()
        return notice_of(row) if row is not None else None


async def list_notices(plane: ControlPlane, paging: Paging, *, event: str | None = None) -> Listed[Notice]:
    """Notices, newest first, each with its deliveries."""
    query = select(NOTICES).order_by(NOTICES.c.id.desc())
    if event is not None:
        query = query.where(NOTICES.c.event == event)
    table = NOTICE_DELIVERIES
    async with plane.read() as connection:
        page = await paging.run(connection, query, dict)
        deliveries: dict[int, list[Delivery]] = {}
        joined = select(table, NOTICE_TARGETS.c.name).join(NOTICE_TARGETS, NOTICE_TARGETS.c.id == table.c.target_id)
        own = joined.where(table.c.notice_id.in_([row["id"] for row in page.items])).order_by(NOTICE_TARGETS.c.name)
        for row in (await connection.execute(own)).mappings():
            deliveries.setdefault(row["notice_id"], []).append(
                Delivery(row["name"], row["attempts"], row["next_at"], row["delivered_at"], row["error"])
            )
    found = tuple(notice_of(row, tuple(deliveries.get(row["id"], ()))) for row in page.items)
    return Listed(found, page.total)


async def sweep_notices(plane: ControlPlane) -> None:
    """Forget notices that are older than 90 days, but not the newest of a subject and event: it is its state."""
    newest = select(func.max(NOTICES.c.id)).group_by(NOTICES.c.subject, NOTICES.c.event)
    old = delete(NOTICES).where(NOTICES.c.at < plane.clock() - KEPT_S, NOTICES.c.id.not_in(newest))
    async with plane.note() as connection:
        await connection.execute(old)


def notice_of(row: RowMapping | dict[str, Any], deliveries: tuple[Delivery, ...] = ()) -> Notice:
    """The notice of a row of its table."""
    detail = dict(row["detail"])
    sentence = detail.pop("sentence", "")
    return Notice(row["id"], row["at"], row["event"], row["subject"], sentence, detail, deliveries)
