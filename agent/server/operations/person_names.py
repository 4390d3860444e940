"""Names to log in with: what is typed finds the person whatever its case, so no two may differ by that alone."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.access_tables import PEOPLE
from agent.server.operations.failures import ConflictError


def has_name(name: str) -> ColumnElement[bool]:
    """True for the person of this name, in whatever case.

    Exactly as it is kept, too: a database with the collation C knows the case of A to Z alone.
    """
    return (PEOPLE.c.name == name) | (func.lower(PEOPLE.c.name) == name.lower())


async def check_name_is_free(connection: AsyncConnection, name: str) -> None:
    """Raises ConflictError."""
    taken = select(PEOPLE.c.id).where(has_name(name))
    if (await connection.execute(taken)).first() is not None:
        raise ConflictError(f'A person named "{name}" exists: choose another name.', field="name")
