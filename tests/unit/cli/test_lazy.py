"""Commands that are not part of an installation are in no list, and say so when they are called."""

from __future__ import annotations

import click
import pytest

from agent.cli.lazy import LazyCommand, LazyGroup
from agent.errors import StartError

GROUP = LazyGroup(
    "program",
    lazy={
        "status": LazyCommand("agent.cli.status", "status", "Is there."),
        "gone": LazyCommand("agent.cli.gone", "gone", "Is not there."),
    },
)


def test_only_what_is_installed_is_listed() -> None:
    context = click.Context(GROUP)
    assert GROUP.list_commands(context) == ["status"]
    shown = GROUP.get_help(context)
    assert "Is there." in shown and "gone" not in shown


def test_a_command_that_is_not_installed_says_so() -> None:
    with pytest.raises(StartError, match='"gone" is not part of this installation'):
        GROUP.get_command(click.Context(GROUP), "gone")
