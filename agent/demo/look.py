"""How the demo looks: signs, colours and widths, for a terminal or for a plain stream."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console

WIDTH_MAX = 100
WIDTH_MIN = 60
PICTURE_WIDTH_MIN = 78


@dataclass(frozen=True, slots=True)
class Look:
    """``lively``: a terminal that can move the cursor; else plain ASCII without any escape code."""

    lively: bool
    done: str
    hop: str
    stop: str
    dot: str
    idle_dot: str

    @property
    def border(self) -> str:
        """Style of frames."""
        return "bright_black"


TERMINAL = Look(lively=True, done="✓", hop=" → ", stop=" ✗", dot="●", idle_dot="○")
PLAIN = Look(lively=False, done="ok", hop=" > ", stop=" (stop)", dot="*", idle_dot=".")


def choose_look(stream: TextIO, environ: Mapping[str, str], *, plain: bool) -> Look:
    """``TERMINAL`` only on one that is wide enough, shows these signs and was not told otherwise (no-color.org)."""
    if plain or not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM", "dumb") == "dumb":
        return PLAIN
    if shutil.get_terminal_size().columns < PICTURE_WIDTH_MIN:
        return PLAIN
    try:
        f"{TERMINAL.done}{TERMINAL.hop}{TERMINAL.stop}{TERMINAL.dot}╭═▶".encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return PLAIN
    return TERMINAL


def console_for(look: Look, stream: TextIO) -> Console:
    """A console that writes to ``stream`` in this look."""
    if look.lively:
        return Console(file=stream, highlight=False, emoji=False, markup=False)
    width = None if stream.isatty() else WIDTH_MAX
    return Console(
        file=stream,
        color_system=None,
        force_terminal=False,
        no_color=True,
        highlight=False,
        emoji=False,
        markup=False,
        width=width,
    )


def line_width(console: Console) -> int:
    """Columns that aligned lines may take."""
    return max(WIDTH_MIN, min(console.width, WIDTH_MAX))
