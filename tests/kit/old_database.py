"""A database as an older version left it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from agent.server.db.database import open_as_it_is
from agent.server.db.migrate import MIGRATIONS


def bring_to(connection: Connection, revision: str) -> None:
    """Migrate to a revision, not always the newest; for ``run_sync``."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def old_database(data_dir: Path, url: str | None) -> None:
    """A database as the first version left it, with rows."""
    blob = "'\\x00'" if url else "x'00'"
    engine = await open_as_it_is(data_dir, url)
    async with engine.begin() as connection:
        await connection.run_sync(bring_to, "0001")
        await connection.exec_driver_sql("INSERT INTO agents (id, name, created_at) VALUES ('a', 'warehouse', 1.0)")
        await connection.exec_driver_sql(
            "INSERT INTO connections (id, name, slug, mode, scheme, host, port, base_path, api_key, methods, "
            "created_at, updated_at) VALUES "
            f"('c', 'One', 'one', 'cloud', 'https', 'h', 443, '/', {blob}, '[\"GET\"]', 1.0, 1.0)"
        )
    await engine.dispose()
