"""Opening the database: SQLite in WAL mode by default, PostgreSQL where an address is set."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import aiosqlite
from aiosqlite.core import _connection_worker_thread
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.errors import SettingsError, StartError
from agent.server.db.full_disk import DiskFullError, is_full
from agent.server.db.migrate import Schema, bring_up

DATABASE_FILE: Final = "integration-server.sqlite3"
BUSY_TIMEOUT_S: Final = 5.0  # another process (a back-up) may hold it for a moment

_CONNECT_TIMEOUT_S: Final = 5
_STATEMENT_TIMEOUT_MS: Final = 30_000
_DEAD_LINK: Final = {  # notices a database machine that is gone without a word in about 10 s, not in 2 hours
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_POOL: Final = {"pool_size": 5, "max_overflow": 5, "pool_timeout": 10, "pool_pre_ping": True}


async def open_database(data_dir: Path, address: str | None = None) -> AsyncEngine:
    """The engine of the database at ``address``, or of the file in ``data_dir``, at the newest schema.

    The file is brought to it when needed, after a copy; PostgreSQL only when it is empty, else a person decides when.
    Raises StartError when the database cannot be used, SettingsError for an address that is none. The caller holds the
    lock of the directory and the claim of the database, and disposes of the engine.
    """
    engine = await open_as_it_is(data_dir, address)
    try:
        await make_newest(engine)
    except BaseException:  # nobody else knows this engine yet
        await engine.dispose()
        raise
    return engine


async def open_as_it_is(data_dir: Path, address: str | None = None) -> AsyncEngine:
    """The same, whatever its schema is. A file that is missing is made, for its owner alone."""
    url = _postgres_url(address) if address is not None else None
    engine = _postgres(url) if url is not None else _sqlite(data_dir / DATABASE_FILE)
    try:
        with failures_told(engine):
            if url is None:
                (data_dir / DATABASE_FILE).touch(mode=0o600)
            async with engine.connect():
                pass
    except BaseException:  # nobody else knows this engine yet
        await engine.dispose()
        raise
    return engine


async def open_what_is_there(data_dir: Path, address: str | None = None) -> AsyncEngine | None:
    """The same for one who only looks: None where the file is missing, which is not made."""
    if address is None:
        try:
            (data_dir / DATABASE_FILE).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            pass  # it is there, and cannot be opened either
    return await open_as_it_is(data_dir, address)


async def make_newest(engine: AsyncEngine, *, even_full: bool = False) -> Schema:
    """Bring what ``engine`` leads to to the newest schema; the one that it had. Raises as ``open_database``.

    ``even_full``: a person has decided to change a PostgreSQL that holds something.
    """
    file = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
    with failures_told(engine):
        return await bring_up(engine, file, even_full=even_full or file is not None)


@contextlib.contextmanager
def failures_told(engine: AsyncEngine) -> Iterator[None]:
    """What goes wrong inside with the database becomes a StartError, DiskFullError where it is that: one sentence."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise _unusable(engine.url, error) from None


def _sqlite(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        async_creator=functools.partial(_open_file, path),
        hide_parameters=True,  # what goes into an error's text goes into logs
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


class _FileConnection(aiosqlite.Connection):
    """Its thread outlives the event loop that it works for.

    That of aiosqlite ends with an unhandled error, and without closing the file, when the loop closes while it works
    for somebody who was cancelled. It is not waited for at the end of the process.
    """

    def __init__(self, path: Path) -> None:
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)

        super().__init__(connect, iter_chunk_size=64)
        self._thread = threading.Thread(target=_work, args=(self._tx,), daemon=True)


def _work(tasks: SimpleQueue[Any]) -> None:
    while True:
        try:
            _connection_worker_thread(tasks)
        except RuntimeError:  # nobody is left to be told of the result; what waits behind it is done all the same
            if not tasks.empty():
                continue
        return


async def _open_file(path: Path) -> aiosqlite.Connection:
    """A connection to the file; when the caller is cancelled, it is closed before this returns."""

    async def opened() -> aiosqlite.Connection:
        return await _FileConnection(path)

    opening = asyncio.create_task(opened())
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):  # nobody waits for this connection any more, whatever became of it
            await (await opening).close()
        raise


def _postgres(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        connect_args={
            "application_name": "integration-server",
            "connect_timeout": _CONNECT_TIMEOUT_S,
            **_DEAD_LINK,
            "options": f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} -c timezone=UTC",
        },
        hide_parameters=True,
        **_POOL,
    )


def _postgres_url(address: str) -> URL:
    """For SQLAlchemy; nothing of ``address`` is repeated, since it holds a password. Raises SettingsError."""
    try:
        url = make_url(address)
    except ArgumentError:
        url = URL.create("none")
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg") or not url.database:
        raise SettingsError(
            'The setting "database_url" is not an address such as postgresql://user:password@host/database.'
        )
    return url.set(drivername="postgresql+psycopg")


def place_of(engine: AsyncEngine) -> str:
    """The database in words, without user and password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"{url.database} on {url.host or url.query.get('host') or 'this machine'}{port}"


def _unusable(url: URL, error: DBAPIError | sqlite3.Error | OSError) -> StartError:
    if url.get_backend_name() == "sqlite":
        if is_full(error):
            return DiskFullError(f"The disk of the database {url.database} is full: free some space there.")
        reason = error.orig if isinstance(error, DBAPIError) else getattr(error, "strerror", None) or error
        return StartError(
            f"The database {url.database} cannot be used ({reason}); check the disk and the owner of the directory, or "
            "restore the file from its back-up copy."
        )
    if is_full(error):
        return DiskFullError(
            f"The disk of the database {url.database} on {url.host or 'this machine'} is full: free some space there."
        )
    # Not the driver's own words: they may quote the address.
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    reason = {"28P01": "the password is refused", "28000": "the user is refused", "3D000": "it does not exist"}.get(
        state or "", f"error {state}" if state else "no connection"
    )
    return StartError(
        f"The database {url.database} on {url.host or 'this machine'} cannot be used ({reason}): check database_url, "
        "and that PostgreSQL runs and lets this machine in."
    )


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the DBAPI's own type, behind an adapter
    # SQLite's own knows the case of A to Z alone, and PostgreSQL's that of all letters.
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a token that was shown must survive a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value
