"""``prestashop-agent status``: how the agent on this machine is doing."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from agent.cli.options import config_file, config_option
from agent.cli.status_codes import EXIT_NOT_READY, EXIT_READY, NotRunningError, UnknownStateError


@click.command(
    epilog="""\b
Examples:
  prestashop-agent status              as the user that runs it
  sudo prestashop-agent status --json  the system service
  prestashop-agent status --watch      live, until Ctrl-C
  prestashop-agent --config ./agent.toml status

Works beside the running agent and disturbs nothing.

\b
Exit codes:
  0  running, at least one tunnel is ready
  1  running, no tunnel is ready: connecting, turned away, or draining
  3  not running
  4  cannot be found out: no permission, or the agent does not answer
"""
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.option(
    "--watch",
    "every_s",
    type=click.FloatRange(0.2, 3600),
    is_flag=False,
    flag_value=1.0,
    metavar="[SECONDS]",
    help="Go on showing it, every second or so many, until Ctrl-C (exit code 0); with --json: a line each time.",
)
@click.pass_context
def status(context: click.Context, config: Path | None, as_json: bool, every_s: float | None) -> int:
    """Show the running agent: tunnels, round-trip times, heartbeats, exchanges."""
    from agent.cli.local_client import ask_agent, usual_places
    from agent.cli.status_page import status_page
    from agent.settings import load_agent_settings

    settings, places = load_agent_settings(
        config_file(context, config), dict(os.environ), {}, is_root=os.geteuid() == 0
    )
    elsewhere = usual_places(os.environ, os.geteuid()) if settings.runtime_dir is None else ()
    width = min(shutil.get_terminal_size().columns, 120)
    if every_s is not None:
        from agent.cli.status_watch import can_be_live, watch_json, watch_live, watch_pages

        def ask() -> dict[str, Any]:
            return ask_agent(places.runtime_dir, "status", elsewhere=elsewhere)

        if as_json:
            watch_json(ask, every_s)
        elif can_be_live(sys.stdout, os.environ.get("TERM", "")):
            watch_live(ask, every_s)
        else:
            watch_pages(ask, every_s, width)
        return EXIT_READY
    try:
        report = ask_agent(places.runtime_dir, "status", elsewhere=elsewhere)
    except (NotRunningError, UnknownStateError) as error:
        if as_json:
            click.echo(json.dumps({"state": error.state, "error": str(error)}, indent=2, ensure_ascii=False))
        raise
    if as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        color = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal
        for line in status_page(report, width=width, now=time.time()):
            click.echo(line, color=color)
    return EXIT_READY if report["state"] == "ready" else EXIT_NOT_READY
