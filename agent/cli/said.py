"""What a command says while it works: names and texts for a person, or one JSON object for a script at its end."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from agent.cli.page import plain
from agent.errors import AgentError

_WIDTH_MAX: Final = 110
_INDENT: Final = 15
_COMMANDS: Final = ("prestashop-agent ", "sudo ", "systemctl ", "integration-server ")


class Said:
    """``say`` prints at once; with ``as_json`` it is silent, and ``end`` prints the object."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._width = min(shutil.get_terminal_size().columns, _WIDTH_MAX)

    def say(self, name: str, text: str) -> None:
        """A name and its text beside it, made safe for a terminal; a name at the margin begins a part."""
        if self.as_json:
            return
        room = max(self._width - _INDENT, 30)
        shown = plain(text, 2000)
        lines = textwrap.wrap(shown, room, break_long_words=False, break_on_hyphens=False) or [""]
        if shown.startswith(_COMMANDS):
            lines = [shown]  # to be copied
        for number, line in enumerate(lines):
            click.echo(f"{name if number == 0 else '':<{_INDENT}}{line}".rstrip())

    def say_all(self, lines: Iterable[tuple[str, str]]) -> None:
        """Several of them."""
        for name, text in lines:
            self.say(name, text)

    def line(self, text: str) -> None:
        """A line that was made ready elsewhere, colors included."""
        if not self.as_json:
            click.echo(text, color=False if os.environ.get("NO_COLOR") else None)  # None: only on a terminal

    def end(self, answer: dict[str, Any]) -> None:
        """The object of a script."""
        if self.as_json:
            click.echo(json.dumps(answer, indent=2, ensure_ascii=False))

    @contextmanager
    def errors_told(self) -> Iterator[None]:
        """An error is an object for a script, too; the sentence and the exit code are the caller's."""
        try:
            yield
        except AgentError as error:
            self.end({"ok": False, "error": str(error)})
            raise
