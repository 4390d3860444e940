"""Bringing a database to the newest schema with the migrations inside this package."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Connection, MetaData, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from agent.errors import StartError

MIGRATIONS: Final = Path(__file__).with_name("migrations")
COPIES_KEPT: Final = 3


@dataclass(frozen=True, slots=True)
class Schema:
    """Where a database stands: its revision (None: nothing is there), and the newest that this program knows."""

    present: str | None
    newest: str

    @property
    def is_newest(self) -> bool:
        """True when nothing is to be done."""
        return self.present == self.newest


async def schema_of(engine: AsyncEngine) -> Schema:
    """Where it stands. Raises StartError for one that a newer program, or another one, has written."""
    async with engine.connect() as connection:
        return await connection.run_sync(_schema)


def newest_schema() -> str:
    """The newest revision that this program knows."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None  # noqa: S101 - there is one line of migrations
    return newest


async def bring_up(engine: AsyncEngine, file: Path | None, *, even_full: bool) -> Schema:
    """Run the missing migrations in one transaction; ``file``, SQLite's, is copied before where it holds something.

    Gives the schema that was there. Raises StartError for a database of a newer program, and, unless ``even_full``,
    for one that holds an older schema.
    """
    schema = await schema_of(engine)
    if schema.is_newest:
        return schema
    if schema.present is not None:
        if not even_full:
            raise StartError(
                f"The database has schema {schema.present}, and this integration-server needs {schema.newest}: make a "
                "back-up, then run integration-server database migrate."
            )
        if file is not None:
            _copy(file, schema)
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, "head")
    return schema


async def make_tables(engine: AsyncEngine, revision: str) -> MetaData:
    """Give an empty SQLite database the tables of ``revision``, however old; the tables, as it has them."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, revision)
        return await connection.run_sync(_tables)


def _tables(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name != "alembic_version")
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type.none_as_null = True  # else NULL would become JSON's null on its way
    return found


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _schema(connection: Connection) -> Schema:
    scripts = ScriptDirectory.from_config(_config())
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    database = connection.engine.url.database
    if present is not None and present not in known:
        raise StartError(
            f"The database {database} was written by a newer integration-server (schema {present}); install that "
            "version again, or restore the database as it was before."
        )
    if present is None and inspect(connection).get_table_names():
        raise StartError(
            f"The database {database} holds tables of another program: give integration-server a database of its own."
        )
    return Schema(present, newest_schema())


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _copy(file: Path, schema: Schema) -> None:
    """A whole copy beside it, also of what is in the WAL; the oldest ones go."""
    target = file.with_name(f"{file.name}.before-{schema.newest}")
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    source, copy = sqlite3.connect(file), sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()
    copies = sorted(file.parent.glob(f"{file.name}.before-*"), key=lambda path: path.stat().st_mtime)
    for old in copies[:-COPIES_KEPT]:
        old.unlink()
