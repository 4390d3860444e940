"""Bringing a database to the newest schema with the migrations inside this package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from agent.errors import StartError

MIGRATIONS: Final = Path(__file__).with_name("migrations")


async def migrate(engine: AsyncEngine) -> None:
    """Run the missing migrations in one transaction.

    Raises StartError when the database was written by a newer integration-server.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise StartError(
            f"The database {connection.engine.url.database} was written by a newer integration-server "
            f"(schema {present}); install that version again, or restore the database as it was before."
        )
    command.upgrade(config, "head")
