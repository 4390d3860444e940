"""``integration-server status``: how the server on this machine is doing."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import click

from agent.cli.status_codes import EXIT_NOT_READY, EXIT_READY, NotRunningError, UnknownStateError
from agent.server.cli.admin import AdminApi
from agent.server.cli.options import place_options, settings_of
from agent.server.cli.output import print_json
from agent.server.cli.status_page import status_page


@click.command(
    epilog="""\b
Examples:
  integration-server status
  sudo integration-server status --json

Works beside the running server and disturbs nothing.

\b
Exit codes:
  0  running; if agents are registered, at least one tunnel is up
  1  running, but draining, or agents are registered and no tunnel is up
  3  not running
  4  cannot be found out: no permission, or the server does not answer
"""
)
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs.")
@click.pass_context
def status(context: click.Context, config: Path | None, data_dir: Path | None, as_json: bool) -> int:
    """Show the running server: agents, tunnels, round-trip times, heartbeats, exchanges."""
    try:
        report = AdminApi(settings_of(context, config, data_dir), os.environ).running_status()
    except (NotRunningError, UnknownStateError) as error:
        if as_json:
            print_json({"state": error.state, "error": str(error)})
        raise
    if as_json:
        print_json(report)
    else:
        width = min(shutil.get_terminal_size().columns, 120)
        color = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal
        for line in status_page(report, width=width, now=time.time()):
            click.echo(line, color=color)
    return EXIT_READY if report["state"] == "ready" else EXIT_NOT_READY
