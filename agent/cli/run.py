"""``prestashop-agent run``: the daemon, under systemd or by hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import (
    FILE,
    config_file,
    config_option,
    environ_of,
    given_settings,
    instance_option,
    no_fast_path_option,
    token_file_option,
)

if TYPE_CHECKING:  # only the run itself pays for the import
    from agent.source import Source


@click.command(
    epilog="""\b
Examples:
  prestashop-agent run -v
  prestashop-agent run --once                connect, look at every store, and leave
  prestashop-agent run --config ./agent.toml --token-file ./token --state-dir ./state

Ctrl-C (or SIGTERM) lets running exchanges finish, a second one leaves at once; SIGHUP reads the settings anew.
Leaves with 0, 78 when the settings cannot work, 130 after a second Ctrl-C; with --once: 0 when all is well, 1 when not.
"""
)
@config_option
@instance_option
@click.option("-v", "--verbose", is_flag=True, help="Show all events.")
@click.option("--once", is_flag=True, help="Connect, look at every store, say how it went, and leave.")
@token_file_option
@click.option("--state-dir", type=FILE, metavar="DIR", help="Where the instance's id lives.")
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), help="Default: text on a terminal.")
@no_fast_path_option
@click.pass_context
def run(
    context: click.Context,
    config: Path | None,
    instance: str | None,
    verbose: bool,
    once: bool,
    token_file: Path | None,
    state_dir: Path | None,
    log_format: str | None,
    no_fast_path: bool,
) -> int:
    """Connect to the integration server and serve the stores until told to stop."""
    from agent.source import Source

    overrides = given_settings(
        token_file=token_file,
        state_dir=state_dir,
        fast_path=False if no_fast_path else None,
        log__format=log_format,
        log__level="debug" if verbose else None,
    )
    source = Source(config_file(context, config), environ_of(instance), overrides, is_root=os.geteuid() == 0)
    if once:
        return _once(source)
    from agent.daemon import run_daemon

    return run_daemon(source)


def _once(source: Source) -> int:
    from agent.cli.once_page import once_lines, once_verdict
    from agent.errors import EXIT_FAILURE
    from agent.once import Seen, run_once

    width = min(shutil.get_terminal_size().columns, 110)

    def tell(seen: Seen) -> None:
        for line in once_lines(seen, width):
            click.echo(line)

    is_well = run_once(source, tell)
    for line in once_verdict(width, is_well=is_well):
        click.echo(line)
    return 0 if is_well else EXIT_FAILURE
