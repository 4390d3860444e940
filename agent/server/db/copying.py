"""Copying all rows of one database into another, whatever the two are."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Integer, MetaData, Table, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agent.errors import StartError
from agent.server.db.schema import METADATA

_BATCH: Final = 500


async def is_empty(engine: AsyncEngine) -> bool:
    """True when no table has a row."""
    async with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            if (await connection.execute(select(table).limit(1))).first() is not None:
                return False
    return True


async def copy_rows(source: AsyncEngine, target: AsyncConnection, tables: MetaData = METADATA) -> dict[str, int]:
    """Replace all rows of ``target``, whose transaction is the caller's, by those of ``source``, as of one moment.

    Both have ``tables``. Ids are kept, and what counts them goes on behind the highest. Gives the rows of each table.
    Raises StartError when not every row arrived.
    """
    counts: dict[str, int] = {}
    for table in reversed(tables.sorted_tables):
        await target.execute(delete(table))
    async with source.connect() as reading:
        if source.dialect.name == "postgresql":
            await reading.execution_options(isolation_level="REPEATABLE READ")
        async with reading.begin():
            for table in tables.sorted_tables:
                counts[table.name] = await _copy_table(reading, target, table)
    return counts


async def _copy_table(source: AsyncConnection, target: AsyncConnection, table: Table) -> int:
    number = 0
    found = await source.stream(select(table))
    async for rows in found.mappings().partitions(_BATCH):
        await target.execute(insert(table), [dict(row) for row in rows])
        number += len(rows)
    arrived = (await target.execute(select(func.count()).select_from(table))).scalar_one()
    if arrived != number:
        raise StartError(
            f"Only {arrived} of {number} rows arrived in the table {table.name}; nothing was changed. See that nothing "
            "else works on the database (triggers, rules), then try again."
        )
    key = table.autoincrement_column
    if target.dialect.name == "postgresql" and key is not None and isinstance(key.type, Integer) and number:
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        await target.execute(select(func.setval(sequence, func.max(key))).select_from(table))
    return number
