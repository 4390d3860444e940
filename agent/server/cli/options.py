"""Options that all commands share, and how they become settings."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from agent.cli.options import given_settings
from agent.server.cli.admin import AdminApi
from agent.server.settings import ServerSettings, read_settings

F = TypeVar("F", bound=Callable[..., Any])

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs.")

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings file (also INTEGRATION_SERVER_CONFIG). Default: /etc/integration-server/server.toml, "
    "or ~/.config/integration-server/server.toml without root.",
)
_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Database and keys. Default: /var/lib/integration-server, or ~/.local/state/integration-server.",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Which server is meant: what was given before the command's name."""

    config: Path | None
    data_dir: Path | None


def place_options(command: F) -> F:
    """Add ``--config`` and ``--data-dir``, which may stand before the command's name or after it."""
    return _CONFIG(_DATA_DIR(command))


def search_option(command: F) -> F:
    """Add ``--search``, for lists."""
    return click.option("--search", metavar="TEXT", default="", help="Only what has this text in its names.")(command)


def state_option(*states: str) -> Callable[[F], F]:
    """Add ``--state``, for lists."""
    return click.option("--state", type=click.Choice(states), help="Only those of this state.")


def on_admin_api(command: F) -> Callable[..., Any]:
    """Hand the control API to ``command`` as its first argument; add ``--json`` (``as_json``) and the place options."""

    @click.pass_context
    def run(context: click.Context, /, config: Path | None, data_dir: Path | None, **given: object) -> object:
        return command(AdminApi(settings_of(context, config, data_dir), os.environ), **given)

    return _JSON(place_options(functools.update_wrapper(run, command)))


def settings_of(
    context: click.Context,
    config: Path | None,
    data_dir: Path | None,
    **options: Any,  # noqa: ANN401 - values of any setting
) -> ServerSettings:
    """The settings for one command; what stands after its name wins over what stands before it.

    Raises SettingsError.
    """
    before = context.find_object(Place) or Place(None, None)
    file = config or before.config
    return read_settings(
        file=file.absolute() if file is not None else None,
        environ=os.environ,
        overrides=given_settings(data_dir=data_dir or before.data_dir, **options),
    )
