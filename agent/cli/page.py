"""Lines of a page for a person: a name, and its text beside it. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

import click

from agent.cli.durations import shown_moment
from agent.tunnel.text import printable

INDENT: Final = 12

_COLORS: Final = {
    "ready": "green",
    "draining": "yellow",
    "paused": "yellow",
    "waiting": "yellow",
    "connecting": "yellow",
    "slow": "red",
    "refused": "red",
    "offline": "red",
}


def entry(name: str, text: str, width: int) -> list[str]:
    """A name and its text, which goes on below itself; what belongs together, such as an address, is never cut."""
    lines = textwrap.wrap(text, max(width - INDENT, 20), break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{name:<{INDENT}}{lines[0]}", *(f"{'':<{INDENT}}{line}" for line in lines[1:])]


def colored(line: str, word: str, state: str) -> str:
    """``line`` with its first ``word`` in the color of ``state``; click takes the color out where there is none."""
    return line.replace(word, click.style(word, fg=_COLORS.get(state), bold=True), 1)


def plain(value: object, limit_chars: int = 300) -> str:
    """A value of the report, which may come from a peer, made safe for a terminal."""
    return printable(str(value), limit_chars)


def shown_pause(pause: Mapping[str, Any]) -> str:
    """``since 2026-11-26 10:00 +0000, until 2026-11-26 10:30 +0000 (stocktaking)``."""
    until = f", until {shown_moment(pause['until'])}" if pause["until"] is not None else ""
    reason = f" ({plain(pause['reason'])})" if pause["reason"] else ""
    return f"since {shown_moment(pause['since'])}{until}{reason}"


def counted(number: int, one: str, many: str = "") -> str:
    """``1 channel``, ``2 channels``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
