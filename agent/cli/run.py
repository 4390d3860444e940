"""``prestashop-agent run``: the daemon, under systemd or by hand."""

from __future__ import annotations

import os
from pathlib import Path

import click

from agent.cli.options import FILE, config_file, config_option, given_settings, no_fast_path_option, token_file_option


@click.command(
    epilog="""\b
Examples:
  prestashop-agent run -v
  prestashop-agent run --config ./agent.toml --token-file ./token --state-dir ./state

Ctrl-C (or SIGTERM) lets running exchanges finish, a second one leaves at once; SIGHUP reads the settings anew.
"""
)
@config_option
@click.option("-v", "--verbose", is_flag=True, help="Show all events.")
@token_file_option
@click.option("--state-dir", type=FILE, metavar="DIR", help="Where the instance's id lives.")
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), help="Default: text on a terminal.")
@no_fast_path_option
@click.pass_context
def run(
    context: click.Context,
    config: Path | None,
    verbose: bool,
    token_file: Path | None,
    state_dir: Path | None,
    log_format: str | None,
    no_fast_path: bool,
) -> int:
    """Connect to the integration server and serve the stores until told to stop."""
    from agent.daemon import run_daemon
    from agent.source import Source

    overrides = given_settings(
        token_file=token_file,
        state_dir=state_dir,
        fast_path=False if no_fast_path else None,
        log__format=log_format,
        log__level="debug" if verbose else None,
    )
    return run_daemon(Source(config_file(context, config), dict(os.environ), overrides, is_root=os.geteuid() == 0))
