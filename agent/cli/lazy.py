"""A click group that imports a command's module when the command is called, so that start-up stays fast."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

import click

from agent.errors import StartError


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives (``module`` and ``attribute``) and its line in the list of commands."""

    module: str
    attribute: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are given as ``LazyCommand`` by name, in the order in which help lists them."""

    def __init__(self, *args: object, lazy: Mapping[str, LazyCommand], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own keywords are passed through
        self._lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name whose module is part of this installation, without importing it."""
        installed = [name for name, place in self._lazy.items() if importlib.util.find_spec(place.module)]
        return [*installed, *(name for name in super().list_commands(ctx) if name not in self._lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, its module imported now.

        Raises:
            StartError: the module is not part of this installation.
        """
        place = self._lazy.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        try:
            module = importlib.import_module(place.module)
        except ModuleNotFoundError as error:
            if error.name is None or not place.module.startswith(error.name):
                raise
            raise StartError(
                f'The command "{cmd_name}" is not part of this installation: install the complete package.'
            ) from None
        command: click.Command = getattr(module, place.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands for help, from the summaries."""
        rows = [(name, self._lazy[name].summary) for name in self.list_commands(ctx) if name in self._lazy]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
