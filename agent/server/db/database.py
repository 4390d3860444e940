"""Opening the embedded database: SQLite in WAL mode through SQLAlchemy's async engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.errors import StartError
from agent.server.db.migrate import migrate

DATABASE_FILE: Final = "integration-server.sqlite3"
BUSY_TIMEOUT_S: Final = 5.0  # another process (a back-up) may hold it for a moment


async def open_database(data_dir: Path) -> AsyncEngine:
    """The engine of the database in ``data_dir``, made and brought to the newest schema when needed.

    Raises StartError when the file is not a usable database. The caller holds the lock of the directory and
    disposes of the engine.
    """
    path = data_dir / DATABASE_FILE
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S},
        hide_parameters=True,  # what goes into an error's text goes into logs
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    try:
        path.touch(mode=0o600)
        await migrate(engine)
    except (DBAPIError, OSError) as error:
        await engine.dispose()
        reason = error.orig if isinstance(error, DBAPIError) else error.strerror
        raise StartError(
            f"The database {path} cannot be used ({reason}); check the disk and the owner of the directory, "
            "or restore the file from its back-up copy."
        ) from None
    except BaseException:  # nobody else knows this engine yet
        await engine.dispose()
        raise
    return engine


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the DBAPI's own type, behind an adapter
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a token that was shown must survive a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
