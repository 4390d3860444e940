"""Lists, a page at a time: every list of the API has the same shape and the same parameters."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

PAGE_MAX = 500
PAGE_DEFAULT = 100

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="How many to leave out first.")]
Search = Annotated[
    str, Query(max_length=200, description="Only what has this text in its names; case does not matter.")
]


class Page(BaseModel, Generic[T]):
    """One page of a list; ``total`` counts all that the filters let through."""

    items: list[T]
    total: int = Field(ge=0)
    limit: int
    offset: int
