"""The command ``prestashop-agent``: its group, its global options, its list of commands."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

import agent
from agent.cli.errors import debug_option, run_command
from agent.cli.lazy import LazyCommand, LazyGroup
from agent.cli.options import config_option

PROGRAM = "prestashop-agent"

_COMMANDS = {
    "enroll": LazyCommand("agent.cli.enroll", "enroll", "Install this agent with its access token."),
    "run": LazyCommand("agent.cli.run", "run", "Connect to the integration server and serve the stores."),
    "unenroll": LazyCommand("agent.cli.unenroll", "unenroll", "Take this agent away from this machine."),
    "stores": LazyCommand("agent.cli.stores", "stores", "Open stores to the server, close them, list them."),
    "reload": LazyCommand("agent.cli.reload", "reload", "Have the running agent read its settings anew."),
    "status": LazyCommand("agent.cli.status", "status", "Show how the running agent is doing."),
    "doctor": LazyCommand("agent.cli.doctor", "doctor", "Find out which layer fails, and what to do."),
    "pause": LazyCommand("agent.cli.pause", "pause", "Let no request through to the stores, until resume."),
    "resume": LazyCommand("agent.cli.pause", "resume", "Let requests through again."),
    "access-log": LazyCommand("agent.cli.access_log", "access_log", "Show the requests that came for the stores."),
    "logs": LazyCommand("agent.cli.logs", "logs", "Show the agent's log, or say where it is."),
    "config": LazyCommand("agent.cli.config", "config", "Check the settings."),
    "demo": LazyCommand("agent.cli.demo", "demo", "Show the whole product at work on this machine."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  sudo prestashop-agent enroll              install it: asks for the token and the shop
  sudo prestashop-agent stores add URL      open one more shop
  prestashop-agent config check             are the settings right?
  prestashop-agent run -v                   run by hand, with all events
  prestashop-agent status                   how is the running one doing?
  prestashop-agent doctor                   which layer fails, and what to do?
  prestashop-agent logs -f                  what does it say?
  prestashop-agent --config ./agent.toml run
""",
)
@click.version_option(agent.__version__, "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
@config_option
@debug_option
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Give cloud integrations the webservice of PrestaShop stores on this network, through SSH tunnels that
    this machine opens. Only the stores, resources and methods in the settings can be reached.
    """
    context.obj = config


def main() -> NoReturn:
    """Entry point of the console script."""
    run_command(cli, PROGRAM)


if __name__ == "__main__":
    main()
