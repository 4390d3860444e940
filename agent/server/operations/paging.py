"""Lists, a page at a time, searched by the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, RowMapping, Select, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.operations.failures import InvalidError

T = TypeVar("T")

EVERYTHING = 10**9


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page; ``total`` counts all that the filters let through."""

    items: tuple[T, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of what was searched for; by default everything.

    Raises InvalidError for a search text with control characters, which PostgreSQL cannot compare.
    """

    limit: int = EVERYTHING
    offset: int = 0
    search: str = ""

    def __post_init__(self) -> None:
        if not (self.search.isprintable() or not self.search):
            raise InvalidError("The search text contains control characters.", field="q")

    async def run(self, connection: AsyncConnection, query: Select[Any], make: Callable[[RowMapping], T]) -> Listed[T]:
        """This page of ``query``, which is in its final order."""
        counted = select(func.count()).select_from(query.order_by(None).subquery())
        total = (await connection.execute(counted)).scalar_one()
        rows = (await connection.execute(query.limit(self.limit).offset(self.offset))).mappings()
        return Listed(tuple(make(row) for row in rows), total)

    def cut(self, found: list[T]) -> Listed[T]:
        """This page of what is in memory already."""
        return Listed(tuple(found[self.offset : self.offset + self.limit]), len(found))


def contains(search: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """True where one of ``columns`` contains the text, whatever its case; an empty text is everywhere.

    A PostgreSQL database of the locale C knows the case of ASCII letters alone: there others are found as they are.
    """
    text = search.strip()
    if not text:
        return true()
    as_it_is = (column.contains(text, autoescape=True) for column in columns)
    return or_(*as_it_is, *(func.lower(column).contains(text.lower(), autoescape=True) for column in columns))
