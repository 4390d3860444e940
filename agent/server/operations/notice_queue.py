"""What waits for a notice target: put off, hurried, ended. The transaction is always the caller's."""

from __future__ import annotations

from sqlalchemy import Update, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.watch_tables import NOTICE_DELIVERIES


async def end_waiting(connection: AsyncConnection, target_id: str, error: str) -> None:
    """Give up all that waits, with the reason."""
    await connection.execute(_waiting(target_id).values(next_at=None, error=error))


async def hurry_waiting(connection: AsyncConnection, target_id: str, now: float) -> None:
    """Try all that waits now."""
    await connection.execute(_waiting(target_id).values(next_at=now))


def _waiting(target_id: str) -> Update:
    table = NOTICE_DELIVERIES
    return update(table).where(table.c.target_id == target_id, table.c.next_at.is_not(None))
