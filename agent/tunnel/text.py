"""Text that the other side chose, made safe for a log or a terminal. Pure: standard library only."""

from __future__ import annotations

from typing import Final

SHOWN_MAX_CHARS: Final = 200


def printable(text: str, limit_chars: int = SHOWN_MAX_CHARS) -> str:
    """``text`` on one line without control, format or bidirectional characters, cut at ``limit_chars``.

    What is not printable, and the backslash itself, is shown as a Python escape, so that a name can neither move the
    cursor nor pretend to be two log lines.
    """
    shown = "".join(_shown(character) for character in text[: limit_chars + 1])
    return shown if len(text) <= limit_chars and len(shown) <= limit_chars else shown[:limit_chars] + "..."


def _shown(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode("ascii")
