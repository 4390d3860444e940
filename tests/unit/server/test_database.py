"""The database: migrations from nothing, no drift between tables and migrations, and what makes it unusable."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import IntegrityError

from agent.errors import StartError
from agent.server.db.database import DATABASE_FILE, _open_file, open_database
from agent.server.db.migrate import MIGRATIONS
from agent.server.db.schema import METADATA
from agent.server.db.tables import AGENT_SECRETS, CLIENT_KEYS


async def test_migrations_lead_from_nothing_to_the_tables(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    engine = await open_database(tmp_path)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        names = set((await connection.execute(text("SELECT name FROM sqlite_master WHERE type='table'"))).scalars())
        assert names == {*METADATA.tables, "alembic_version"}
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
    await engine.dispose()
    assert (tmp_path / DATABASE_FILE).stat().st_mode & 0o777 == 0o600


async def test_opening_again_keeps_what_is_there(tmp_path: Path) -> None:
    values = {"id": "1", "name": "n", "sha256": b"x" * 32, "created_at": 1.5}
    engine = await open_database(tmp_path)
    async with engine.begin() as connection:
        await connection.execute(insert(CLIENT_KEYS).values(values))
    await engine.dispose()
    engine = await open_database(tmp_path)
    async with engine.connect() as connection:
        row = (await connection.execute(CLIENT_KEYS.select())).mappings().one()
    await engine.dispose()
    assert {key: row[key] for key in values} == values


def test_there_is_one_line_of_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    engine = await open_database(tmp_path)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()
    with pytest.raises(StartError, match=r"newer integration-server \(schema 9999\)"):
        await open_database(tmp_path)


async def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"this is not a database, but long enough to look at" * 20)
    with pytest.raises(StartError, match=r"cannot be used .*restore the file"):
        await open_database(tmp_path)


async def test_a_database_that_another_program_keeps_locked_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.server.db.database.BUSY_TIMEOUT_S", 0.05)
    holder = sqlite3.connect(tmp_path / DATABASE_FILE)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StartError, match="locked"):
            await open_database(tmp_path)
    finally:
        holder.close()


async def test_errors_do_not_show_values(tmp_path: Path) -> None:
    engine = await open_database(tmp_path)
    with pytest.raises(IntegrityError) as caught:
        async with engine.begin() as connection:
            values = {"id": "CANARY", "agent_id": "nobody", "sha256": b"CANARY" * 5, "created_at": 0.0}
            await connection.execute(insert(AGENT_SECRETS).values(values))
    await engine.dispose()
    assert "CANARY" not in str(caught.value)


async def test_a_connection_that_is_given_up_while_it_opens_is_closed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its thread would wake an event loop that may be closed by then."""
    engine = await open_database(tmp_path)
    await engine.dispose()
    opening, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    class Watched(sqlite3.Connection):
        def close(self) -> None:
            super().close()
            closed.set()

    def slow_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        opening.set()
        assert go_on.wait(10)
        return Watched(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", slow_connect)
    task = asyncio.create_task(engine.connect().start())
    assert await asyncio.to_thread(opening.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


def test_a_thread_outlives_its_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the file, and raises nothing, when the loop closes while it works."""
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    at_work, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        at_work.set()
        assert go_on.wait(10)

    async def left_behind() -> aiosqlite.Connection:
        opened = await _open_file(tmp_path / DATABASE_FILE)
        working: Coroutine[Any, Any, None] = opened._execute(slow)  # type: ignore[no-untyped-call]
        asyncio.get_running_loop().call_soon(working.send, None)
        await asyncio.to_thread(at_work.wait, 10)
        return opened

    opened = asyncio.run(left_behind())
    opened.stop()
    go_on.set()
    opened._thread.join(10)
    assert (opened._thread.is_alive(), opened._connection, raised) == (False, None, [])
