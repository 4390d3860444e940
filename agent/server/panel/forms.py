"""What pages read from queries and forms in the same way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from fastapi import Request

PAGE_ROWS: Final = 50


def paging_of(request: Request) -> tuple[int, int, str]:
    """Rows, offset and search text of a list page."""
    offset = request.query_params.get("offset", "0")
    search = "".join(each for each in request.query_params.get("q", "")[:200] if each.isprintable())
    is_number = offset.isascii() and offset.isdigit() and len(offset) < 8
    return PAGE_ROWS, int(offset) if is_number else 0, search


def unix_time(text: str) -> float | None:
    """The time of a ``datetime-local`` or ``date`` field, taken as UTC; None for an empty or wrong one."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
