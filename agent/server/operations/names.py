"""Names that people give to agents, connections and keys. Pure."""

from __future__ import annotations

from typing import Final

from agent.server.operations.failures import InvalidError

NAME_MAX_CHARS: Final = 100


def clean_description(text: str) -> str:
    """``text`` without blanks around it. Raises InvalidError for control characters other than line ends."""
    clean = text.strip().replace("\r\n", "\n")
    if not clean.replace("\n", "").isprintable():
        raise InvalidError("The description contains control characters.", field="description")
    return clean


def clean_name(name: str) -> str:
    """``name`` with single blanks. Raises InvalidError when it is empty, too long, or not printable."""
    clean = " ".join(name.split())
    if not clean:
        raise InvalidError("The name is empty: give one that tells it from the others.", field="name")
    if len(clean) > NAME_MAX_CHARS:
        raise InvalidError(f"The name is longer than {NAME_MAX_CHARS} characters.", field="name")
    if not clean.isprintable():
        raise InvalidError("The name contains control characters.", field="name")
    return clean
