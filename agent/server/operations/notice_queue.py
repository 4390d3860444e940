"""What waits for each notice target: one row per notice and target, read and moved on as deliveries succeed or fail.

Of one target the oldest notice goes first, and no other before that is delivered or given up: order is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping, Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.watch_tables import NOTICE_DELIVERIES, NOTICE_TARGETS, NOTICES
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.notice_message import ERROR_MAX_CHARS, NoticeMessage
from agent.server.operations.notices import notice_of

_TABLE: Final = NOTICE_DELIVERIES


@dataclass(frozen=True, slots=True)
class TargetQueue:
    """An enabled target; ``next_at`` (unix time) is when its oldest notice is due, None when none waits."""

    target_id: str
    updated_at: float
    next_at: float | None


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """The oldest notice that waits for a target; ``attempts`` have been made, the next one is due at ``next_at``.

    ``error`` is why the last attempt failed.
    """

    target: RowMapping
    message: NoticeMessage
    attempts: int
    next_at: float
    error: str | None


async def target_queues(plane: ControlPlane) -> list[TargetQueue]:
    """All enabled targets."""
    oldest = select(_TABLE.c.target_id, func.min(_TABLE.c.notice_id).label("notice_id"))
    heads = oldest.where(_TABLE.c.next_at.is_not(None)).group_by(_TABLE.c.target_id).subquery()
    query = (
        select(NOTICE_TARGETS.c.id, NOTICE_TARGETS.c.updated_at, _TABLE.c.next_at)
        .outerjoin(heads, heads.c.target_id == NOTICE_TARGETS.c.id)
        .outerjoin(_TABLE, (_TABLE.c.target_id == heads.c.target_id) & (_TABLE.c.notice_id == heads.c.notice_id))
        .where(NOTICE_TARGETS.c.enabled)
    )
    async with plane.read() as connection:
        return [TargetQueue(*row) for row in await connection.execute(query)]


async def oldest_waiting(plane: ControlPlane, target_id: str) -> WaitingDelivery | None:
    """What has to be delivered next; None when nothing waits, or when the target is switched off or deleted."""
    enabled = select(NOTICE_TARGETS).where(NOTICE_TARGETS.c.id == target_id, NOTICE_TARGETS.c.enabled)
    waiting = (
        select(NOTICES, _TABLE.c.attempts, _TABLE.c.next_at, _TABLE.c.error)
        .join(_TABLE, _TABLE.c.notice_id == NOTICES.c.id)
        .where(_TABLE.c.target_id == target_id, _TABLE.c.next_at.is_not(None))
        .order_by(NOTICES.c.id)
        .limit(1)
    )
    async with plane.read() as connection:
        target = (await connection.execute(enabled)).mappings().one_or_none()
        row = (await connection.execute(waiting)).mappings().one_or_none()
    if target is None or row is None:
        return None
    notice = notice_of(row)
    message = NoticeMessage(
        key=f"notice_{notice.id}_{round(1000 * notice.at)}",  # ids alone come again after a restore
        id=notice.id,
        event=notice.event,
        at=notice.at,
        subject=notice.subject,
        sentence=notice.sentence,
        detail=notice.detail,
    )
    return WaitingDelivery(target, message, row["attempts"], row["next_at"], row["error"])


async def note_delivered(plane: ControlPlane, delivery: WaitingDelivery) -> None:
    """It has arrived."""
    done = {"attempts": delivery.attempts + 1, "next_at": None, "delivered_at": plane.clock(), "error": None}
    async with plane.note() as connection:
        await connection.execute(_row(delivery).values(done))


async def note_failed(
    plane: ControlPlane, delivery: WaitingDelivery, error: str, next_at: float | None, *, attempted: bool = True
) -> None:
    """It has not; ``next_at`` None gives it up. What was ended meanwhile, with its target, stays ended."""
    attempts = delivery.attempts + attempted
    failed = {"attempts": attempts, "next_at": next_at, "error": error[:ERROR_MAX_CHARS]}
    async with plane.note() as connection:
        await connection.execute(_row(delivery).where(_TABLE.c.next_at.is_not(None)).values(failed))


async def switch_off(plane: ControlPlane, delivery: WaitingDelivery, error: str) -> None:
    """The receiver wants nothing any more: the target is disabled, and what waits for it ended."""
    target = delivery.target
    async with plane.note_change("server") as change:
        failed = {"attempts": delivery.attempts + 1, "error": error[:ERROR_MAX_CHARS]}
        await change.connection.execute(_row(delivery).values(failed))
        await end_waiting(change.connection, target["id"], error)
        mine = update(NOTICE_TARGETS).where(NOTICE_TARGETS.c.id == target["id"])
        await change.connection.execute(mine.values(enabled=False, updated_at=change.now))
        await change.audit("notice_target.disabled", target["name"], target_id=target["id"], reason=error)


async def end_waiting(connection: AsyncConnection, target_id: str, error: str) -> None:
    """Give up all that waits, with the reason; the transaction is the caller's."""
    await connection.execute(_waiting(target_id).values(next_at=None, error=error[:ERROR_MAX_CHARS]))


async def hurry_waiting(connection: AsyncConnection, target_id: str, now: float) -> None:
    """Try all that waits now; the transaction is the caller's."""
    await connection.execute(_waiting(target_id).values(next_at=now))


def _waiting(target_id: str) -> Update:
    return update(_TABLE).where(_TABLE.c.target_id == target_id, _TABLE.c.next_at.is_not(None))


def _row(delivery: WaitingDelivery) -> Update:
    return update(_TABLE).where(_TABLE.c.notice_id == delivery.message.id, _TABLE.c.target_id == delivery.target["id"])
