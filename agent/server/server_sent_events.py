"""Server-sent events (HTML Living Standard, 9.2), as text. Pure."""

from __future__ import annotations

from typing import Final

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE: Final = ": \n\n"
"""A comment: it shows that somebody is there, on both sides."""


def event_text(name: str, data: str) -> str:
    """One event; each line of ``data`` is a line of its own."""
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in data.splitlines()) + "\n"
