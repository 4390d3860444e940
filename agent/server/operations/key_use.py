"""When each client key was used last, written in batches: the gateway itself writes nothing."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from agent.server.db.tables import CLIENT_KEYS
from agent.server.operations.control_plane import ControlPlane

EVERY_S: Final = 60.0

_LOG = structlog.get_logger()


async def note_use(plane: ControlPlane) -> None:
    """Write the uses since the last time; what cannot be written now is left for the next time."""
    traffic = plane.traffic
    used = traffic.take_used_keys() if traffic is not None else {}
    if traffic is None or not used:
        return
    try:
        async with plane.note() as connection:
            for key_id, at in used.items():
                await connection.execute(update(CLIENT_KEYS).where(CLIENT_KEYS.c.id == key_id).values(last_used_at=at))
    except BaseException:  # also the end of the server, which writes a last time
        traffic.put_back_used_keys(used)
        raise


async def keep_noting_use(plane: ControlPlane) -> None:
    """Once a minute, until cancelled; and then a last time."""
    try:
        while True:
            await asyncio.sleep(EVERY_S)
            await _noted(plane)
    finally:
        await _noted(plane)


async def _noted(plane: ControlPlane) -> None:
    try:
        await note_use(plane)
    except SQLAlchemyError as error:  # the next turn tries again
        _LOG.warning("client_key.use_not_written", error=type(error).__name__)
