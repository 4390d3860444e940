"""Opening the database: SQLite in WAL mode by default, PostgreSQL where an address is set."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiosqlite
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.errors import SettingsError, StartError
from agent.server.db.migrate import bring_up

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
    lock of the directory and disposes of the engine.
    """
    async with _engine(data_dir, address) as engine:
        await bring_up(engine, data_dir / DATABASE_FILE if address is None else None, even_full=address is None)
    return engine


async def open_as_it_is(data_dir: Path, address: str | None = None) -> AsyncEngine:
    """The same, whatever its schema is; for the commands that look at it or change it."""
    async with _engine(data_dir, address) as engine, engine.connect():
        pass
    return engine


@contextlib.asynccontextmanager
async def _engine(data_dir: Path, address: str | None) -> AsyncIterator[AsyncEngine]:
    """An engine that is disposed of when what is done with it first fails, which is said in a sentence."""
    url = _postgres_url(address) if address is not None else None
    engine = _postgres(url) if url is not None else _sqlite(data_dir / DATABASE_FILE)
    try:
        if url is None:
            (data_dir / DATABASE_FILE).touch(mode=0o600)
        yield engine
    except (DBAPIError, OSError) as error:
        await engine.dispose()
        raise _unusable(url, data_dir / DATABASE_FILE, error) from None
    except BaseException:  # nobody else knows this engine yet
        await engine.dispose()
        raise


def _sqlite(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        async_creator=functools.partial(_open_file, path),
        hide_parameters=True,  # what goes into an error's text goes into logs
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


async def _open_file(path: Path) -> aiosqlite.Connection:
    """A connection to the file; when the caller is cancelled, it is closed before this returns.

    aiosqlite leaves the thread of a connection that was given up while it opened to end by itself, which it may do
    after the event loop has.
    """

    async def opened() -> aiosqlite.Connection:
        return await aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)

    opening = asyncio.create_task(opened())
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
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


def _unusable(url: URL | None, path: Path, error: DBAPIError | OSError) -> StartError:
    if url is None:
        reason = error.orig if isinstance(error, DBAPIError) else error.strerror
        return StartError(
            f"The database {path} cannot be used ({reason}); check the disk and the owner of the directory, or restore "
            "the file from its back-up copy."
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
