"""``prestashop-agent reload``: the running agent reads its settings anew, and says how that went."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agent.cli.options import config_file, config_option


@click.command(
    epilog="""\b
Examples:
  sudo prestashop-agent reload         the system service
  prestashop-agent reload              an agent of this user's own

No exchange is disturbed. Leaves with 0 when the settings are in force, with 1 when they were refused (those from before
stay), with 3 when no agent is running, with 4 when it cannot be asked.
"""
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.pass_context
def reload(context: click.Context, config: Path | None, as_json: bool) -> int:
    """Have the running agent read its settings anew, and wait until it has."""
    answer = reload_agent(config_file(context, config), dict(os.environ), is_root=os.geteuid() == 0)
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        click.echo(reload_sentence(answer))
    return 0


def reload_agent(config: Path | None, environ: Mapping[str, str], *, is_root: bool) -> dict[str, Any]:
    """Ask the running agent of these settings: ``stores`` that are open now, ``need_restart`` names of settings.

    Raises:
        RefusedError: it refuses them, and those from before stay.
        NotRunningError, UnknownStateError: nobody can be asked.
        SettingsError: this command cannot read them either, so that it is not known where the agent is.
    """
    from agent.cli.local_client import ask_agent, usual_places
    from agent.local_socket import COMMAND_MAX_S
    from agent.settings import load_agent_settings

    settings, places = load_agent_settings(config, environ, {}, is_root=is_root)
    elsewhere = usual_places(environ, os.geteuid()) if settings.runtime_dir is None and config is None else ()
    return ask_agent(places.runtime_dir, "reload", elsewhere=elsewhere, timeout_s=COMMAND_MAX_S + 5)


def reload_sentence(answer: Mapping[str, Any]) -> str:
    """What came of it, for a person."""
    later = ", ".join(answer["need_restart"])
    many = answer["stores"]
    said = f"The running agent has the settings in force: {many} {'store is' if many == 1 else 'stores are'} open."
    return said + (f" These take effect at its next start only: {later}." if later else "")
