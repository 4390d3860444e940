"""One server at a time on a PostgreSQL database: an advisory lock of a session that lives as long as the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agent.server.data_directory import DirectoryBusyError
from agent.server.db.database import failures_told, open_as_it_is, place_of

LOOK_EVERY_S: Final = 5.0

_LOCK: Final = 0x1A7E6C0  # any number, the same in every version
_WAITS_S: Final = (0.05, 0.15, 0.3, 0.5, 1.0)
"""PostgreSQL ends the session of a server that has just stopped a moment after that."""

_LOG = structlog.get_logger()


class DatabaseClaim:
    """Holds the lock; SQLite needs none, its directory is held."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None

    @property
    def engine(self) -> AsyncEngine:
        """The database."""
        return self._engine

    async def take(self) -> None:
        """Raises DirectoryBusyError when another server or command has it, and keeps it for two seconds."""
        if self._engine.dialect.name != "postgresql":
            return
        for wait_s in (*_WAITS_S, None):
            if await self._try():
                return
            if wait_s is not None:
                await asyncio.sleep(wait_s)
        raise DirectoryBusyError(
            f"Another integration-server is using the database {place_of(self._engine)}; stop it first, or give "
            "this one its own database."
        )

    async def keep(self, on_lost: Callable[[], None]) -> None:
        """Take the lock again when its session broke; ``on_lost`` is called when somebody else has it by then."""
        while self._connection is not None:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._connection.execute(text("SELECT 1"))
                await self._connection.commit()
            except SQLAlchemyError:  # the driver's, or of a pool that is used up
                await self.release()
                if not await self._again():
                    _LOG.error("database.taken_over", database=place_of(self._engine))
                    on_lost()
                    return

    async def release(self) -> None:
        """Let go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.invalidate()
                await connection.close()
            except SQLAlchemyError:
                pass  # it is gone, and the lock with it

    async def _again(self) -> bool:
        """Until the database answers; False when the lock is another's."""
        while True:
            try:
                return await self._try()
            except SQLAlchemyError:  # the driver's, or of a pool that is used up
                _LOG.warning("database.unreachable", database=place_of(self._engine))
                await asyncio.sleep(LOOK_EVERY_S)

    async def _try(self) -> bool:
        connection = await self._engine.connect()
        try:
            found = await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK})
            is_ours = bool(found.scalar_one())
            await connection.commit()
        except BaseException:  # cancelled, too: nobody else knows this link yet
            await connection.close()
            raise
        if is_ours:
            self._connection = connection
        else:
            await connection.close()
        return is_ours


@contextlib.asynccontextmanager
async def claimed_database(data_dir: Path, address: str | None) -> AsyncIterator[DatabaseClaim]:
    """The database as it is, for us alone; the caller holds the lock of the directory.

    Nothing may be changed before it is ours: two servers that start at once would both make its tables. Raises
    DirectoryBusyError, and as ``open_as_it_is``.
    """
    engine = await open_as_it_is(data_dir, address)
    claim = DatabaseClaim(engine)
    try:
        with failures_told(engine):
            await claim.take()
        yield claim
    finally:
        await claim.release()
        await engine.dispose()
