"""Options that several commands share, and how they become settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

CONFIG_VARIABLE = "PRESTASHOP_AGENT_CONFIG"

FILE = click.Path(path_type=Path, readable=False)  # click would end with 2 and say less than our own errors

token_file_option = click.option("--token-file", type=FILE, metavar="FILE", help="File with the access token.")

no_fast_path_option = click.option(
    "--no-fast-path", is_flag=True, help="Let asyncssh handle every SSH packet, which costs more CPU."
)

config_option = click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help=f"Settings file (also {CONFIG_VARIABLE}). Default: /etc/prestashop-agent/agent.toml, "
    "or ~/.config/prestashop-agent/agent.toml without root.",
)

instance_option = click.option(
    "--instance", metavar="NAME", help="The agent of prestashop-agent@NAME.service, with files of its own."
)


def environ_of(instance: str | None) -> dict[str, str]:
    """The environment that says where the files of the agent are that is meant: the shell's, or that of its unit.

    Raises:
        SettingsError: the name cannot be one of an instance.
    """
    environ = dict(os.environ)
    if instance is None:
        return environ
    from agent.enrolment.places import AgentPlaces

    return dict(AgentPlaces.of(instance, None, environ, is_root=os.geteuid() == 0).environ)


def config_file(context: click.Context, given: Path | None) -> Path | None:
    """The settings file that was asked for: after the command, before it, or by the environment; absolute."""
    file = given or context.find_object(Path)
    if file is None and os.environ.get(CONFIG_VARIABLE):
        file = Path(os.environ[CONFIG_VARIABLE])
    return file.absolute() if file is not None else None


def given_settings(**options: Any) -> dict[str, Any]:  # noqa: ANN401 - values of any setting
    """What was given on the command line in the shape of the settings; ``log__level`` becomes log.level.

    Paths are made absolute here, where the working directory is the person's own.
    """
    nested: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        level = nested
        *tables, key = name.split("__")
        for table in tables:
            level = level.setdefault(table, {})
        level[key] = value.absolute() if isinstance(value, Path) else value
    return nested
