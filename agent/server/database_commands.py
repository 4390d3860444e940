"""What the database commands do without a running server: under the lock of the data directory and of the database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from agent.errors import SettingsError, StartError
from agent.server.data_directory import hold_data_directory
from agent.server.db.claim import claimed_database
from agent.server.db.copying import copy_rows, is_empty
from agent.server.db.database import DATABASE_FILE, make_newest, open_database, open_what_is_there, place_of
from agent.server.db.migrate import Schema, newest_schema, schema_of
from agent.server.settings import ServerSettings
from agent.server.state import database_address


async def look(settings: ServerSettings, environ: Mapping[str, str]) -> tuple[str, Schema]:
    """The database in words, and its schema; disturbs nobody, makes nothing. Raises StartError, SettingsError."""
    engine = await open_what_is_there(settings.data_dir, database_address(settings, environ))
    if engine is None:
        return str(settings.data_dir / DATABASE_FILE), Schema(None, newest_schema())
    try:
        return place_of(engine), await schema_of(engine)
    finally:
        await engine.dispose()


async def bring_to_newest(settings: ServerSettings, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """Run the missing migrations; the schema before and after. Raises StartError, SettingsError."""
    async with _alone(settings, environ) as engine:
        before = await make_newest(engine, even_full=True)
        return before.present, before.newest


async def copy_to_postgres(settings: ServerSettings, environ: Mapping[str, str]) -> tuple[str, dict[str, int]]:
    """Copy the SQLite file of the data directory to ``database_url``; the target in words, and the rows by table.

    Raises SettingsError when no database_url is set, StartError when the target is not empty or cannot be used.
    """
    if database_address(settings, environ) is None:
        raise SettingsError('The setting "database_url" is missing: it names the PostgreSQL database to copy to.')
    async with _alone(settings, environ) as target:
        await make_newest(target, even_full=True)
        if not await is_empty(target):
            raise StartError(f"The database {place_of(target)} is not empty: name an empty one; nothing was changed.")
        source = await open_database(settings.data_dir)
        try:
            async with target.begin() as connection:
                counts = await copy_rows(source, connection)
        finally:
            await source.dispose()
        return place_of(target), counts


@contextlib.asynccontextmanager
async def _alone(settings: ServerSettings, environ: Mapping[str, str]) -> AsyncIterator[AsyncEngine]:
    with hold_data_directory(settings.data_dir):
        async with claimed_database(settings.data_dir, database_address(settings, environ)) as claim:
            yield claim.engine
