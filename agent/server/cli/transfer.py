"""``integration-server export`` and ``import``: agents, connections and client keys as a file without secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from agent.errors import StartError
from agent.server.cli.admin import AdminApi
from agent.server.cli.options import on_admin_api
from agent.server.cli.output import print_json


@click.command(
    epilog="""\b
Examples:
  integration-server export shops.json
  integration-server export - | jq .connections[].name

No secret is in it: neither access tokens nor API keys nor client keys.
"""
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@on_admin_api
def export(api: AdminApi, file: Path, as_json: bool) -> None:
    """Write agents, connections and client keys to a file, - for standard output."""
    document = api.get("export")
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if str(file) == "-" or as_json:
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StartError(f"The file {file} cannot be written ({error.strerror}): name another one.") from None
    agents, connections, keys = (len(document[kind]) for kind in ("agents", "connections", "client_keys"))
    click.echo(f"{agents} agents, {connections} connections and {keys} client keys are in {file}.")


@click.command(
    "import",
    epilog="""\b
Example:
  integration-server import shops.json

What is there already stays as it is. New agents and client keys get new secrets, shown this once; new
connections are off until their API key is entered with integration-server connections update.
""",
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@on_admin_api
def import_(api: AdminApi, file: Path, as_json: bool) -> None:
    """Register the agents, connections and client keys of a file, - for standard input."""
    made = api.post("import", body=_read(file))
    if as_json:
        print_json(made)
        return
    for new in made["agents"]:
        token = new["access_token"] or new["secret"]
        click.echo(f"Agent {new['agent']['name']}, its access token shown this once:\n{token}\n")
    for slug in made["connections"]:
        click.echo(f"Connection {slug}: enter its key with integration-server connections update {slug}")
    for new in made["client_keys"]:
        click.echo(f"Client key {new['client_key']['name']}, shown this once:\n{new['key']}\n")
    for sentence in made["skipped"]:
        click.echo(f"Left out: {sentence}")


def _read(file: Path) -> dict[str, Any]:
    try:
        with click.open_file(str(file), encoding="utf-8") as opened:
            found = json.load(opened)
    except OSError as error:
        raise StartError(f"The file {file} cannot be read ({error.strerror}): name another one.") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StartError(f"The file {file} is not an export: integration-server export FILE makes one.")
    return found
