"""The command ``integration-server``: its group, its global options, its list of commands."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

import agent
from agent.cli.errors import debug_option, run_command
from agent.cli.extra import INSTALL_SERVER, missing_server_libraries
from agent.cli.lazy import LazyCommand, LazyGroup
from agent.errors import StartError
from agent.server.cli.options import Place, place_options

PROGRAM = "integration-server"

_COMMANDS = {
    "serve": LazyCommand("agent.server.cli.serve", "serve", "Run the server."),
    "status": LazyCommand("agent.server.cli.status", "status", "Show how the running server is doing."),
    "agents": LazyCommand("agent.server.cli.agents", "agents", "Create, list and revoke agents."),
    "connections": LazyCommand(
        "agent.server.cli.connections", "connections", "Create, list, test, update, switch and delete connections."
    ),
    "client-keys": LazyCommand(
        "agent.server.cli.client_keys", "client_keys", "Create, list and revoke the keys of integrations."
    ),
    "people": LazyCommand("agent.server.cli.people", "people", "Invite and list people who use the panel."),
    "tokens": LazyCommand("agent.server.cli.tokens", "tokens", "Create, list and revoke API tokens."),
    "keys": LazyCommand("agent.server.cli.maintenance", "keys", "Look at the key ring, and change its keys."),
    "backup": LazyCommand("agent.server.cli.maintenance", "backup", "Write a back-up of everything."),
    "restore": LazyCommand("agent.server.cli.maintenance", "restore", "Put everything back as it was."),
    "database": LazyCommand("agent.server.cli.maintenance", "database", "Look at the schema, bring it to the newest."),
    "copy-database": LazyCommand(
        "agent.server.cli.maintenance", "copy_database", "Copy everything from SQLite to PostgreSQL."
    ),
    "downloads": LazyCommand(
        "agent.server.cli.downloads", "downloads", "The agent's packages that the panel hands out."
    ),
    "exchanges": LazyCommand("agent.server.cli.exchanges", "exchanges", "Show the last exchanges."),
    "export": LazyCommand("agent.server.cli.transfer", "export", "Write all but secrets to a file."),
    "import": LazyCommand("agent.server.cli.transfer", "import_", "Register what is in the file of an export."),
    "notices": LazyCommand("agent.server.cli.notices", "notices", "Show what the server told by itself, and to whom."),
    "audit": LazyCommand("agent.server.cli.audit", "audit", "Show who did what."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  integration-server serve
  integration-server agents create warehouse
  integration-server connections create --name "Shop Lyon" --mode on-premise --agent warehouse \\
      --store-url https://shop.example.com/
  integration-server connections test shop-lyon
  integration-server client-keys create --connection shop-lyon

Commands talk to the running server, or work on its database while it is stopped.
Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong settings.
""",
)
@click.version_option(agent.__version__, "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
@place_options
@debug_option
@click.pass_context
def cli(context: click.Context, config: Path | None, data_dir: Path | None) -> None:
    """Give integrations an HTTP gateway to PrestaShop stores: directly, or through agents on the stores' networks."""
    if missing := missing_server_libraries():
        raise StartError(f"The libraries of the server are not installed here ({missing}): {INSTALL_SERVER}.")
    context.obj = Place(config, data_dir)


def main() -> NoReturn:
    """Entry point of the console script."""
    run_command(cli, PROGRAM)


if __name__ == "__main__":
    main()
