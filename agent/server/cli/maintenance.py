"""``integration-server keys``, ``backup``, ``restore``, ``database`` and ``copy-database``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from agent.errors import StartError
from agent.server.cli.admin import AdminApi
from agent.server.cli.options import on_admin_api, place_options, settings_of
from agent.server.cli.output import print_json, print_table
from agent.whole_file import whole_file


@click.group()
def keys() -> None:
    """Look at the key ring, which opens the stored API keys, and change its keys."""


@keys.command("list", epilog="\b\nExample:\n  integration-server keys list")
@on_admin_api
def list_(api: AdminApi, as_json: bool) -> None:
    """Show the keys of the ring by number, and how much each has sealed."""
    _show(api.get("maintenance", "keys"), as_json=as_json)


@keys.command(
    epilog="""\b
Example:
  integration-server keys rotate

The old keys stay in the ring, for copies of the database that need them: integration-server keys retire drops them.
Keep a copy of the new ring.
"""
)
@on_admin_api
def rotate(api: AdminApi, as_json: bool) -> None:
    """Add a key to the ring and seal every stored API key anew with it."""
    _show(api.post("maintenance", "keys", "rotate"), as_json=as_json)


@keys.command(epilog="\b\nExample:\n  integration-server keys retire")
@on_admin_api
def retire(api: AdminApi, as_json: bool) -> None:
    """Drop the keys that have sealed nothing in the database; older back-ups may need them."""
    _show(api.post("maintenance", "keys", "retire"), as_json=as_json)


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    current = str(report["current"])
    rows = [(number, sealed, "seals" if number == current else "opens") for number, sealed in report["sealed"].items()]
    print_table(("KEY", "SEALED", "USE"), rows, "The ring is empty.")
    if report["lost"]:
        click.echo(f"{report['lost']} stored keys do not open with this ring: enter them again, or restore the ring.")


@click.command(
    epilog="""\b
Examples:
  integration-server backup today.tar.gz
  integration-server backup today.tar.gz --with-keys

Works while the server runs, and before database migrate. Without the keys the back-up cannot open the stored API keys
on another machine, and agents refuse the host key of a server that was set up anew: keep copies of key-ring and
ssh_host_ed25519_key elsewhere. With them, whoever has the file can open everything.
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Put the key ring and the SSH host key into it, too.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@on_admin_api
def backup(api: AdminApi, file: Path, with_keys: bool, force: bool, as_json: bool) -> None:
    """Write a back-up of everything to a file that only you can read."""
    try:
        with whole_file(file, may_replace=force) as opened:
            api.download("maintenance", "backup", query={"with_keys": str(with_keys).lower()}, into=opened)
            size_bytes = opened.tell()
    except FileExistsError:
        raise StartError(f"The file {file} exists: name another one, or replace it with --force.") from None
    except OSError as error:
        raise StartError(f"The file {file} cannot be written ({error.strerror}): name another one.") from None
    if as_json:
        print_json({"file": str(file), "bytes": size_bytes, "with_keys": with_keys})
        return
    click.echo(f"The back-up is in {file} ({size_bytes} bytes).")
    if not with_keys:
        click.echo(
            "It is without keys: keep copies of key-ring and ssh_host_ed25519_key of the data directory elsewhere. "
            "Without the key ring the stored API keys are lost, without the host key agents refuse the server."
        )


@click.command(epilog="\b\nExample:\n  integration-server restore today.tar.gz --yes")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Open the API keys with its key ring, and take its SSH host key.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_admin_api
def restore(api: AdminApi, file: Path, with_keys: bool, yes: bool, as_json: bool) -> None:
    """Put everything back as it was; what was changed since the back-up is lost. Works while the server runs.

    Everybody who is logged in to the panel has to log in again.
    """
    try:
        opened = file.open("rb")
    except OSError as error:
        raise StartError(f"The file {file} cannot be read ({error.strerror}): name another one.") from None
    with opened:
        if not yes:
            click.confirm(f"Replace everything by what is in {file}?", abort=True, err=True)
        query = {"with_keys": str(with_keys).lower()}
        done = api.upload("maintenance", "restore", content=opened, query=query)
    if as_json:
        print_json(done)
        return
    click.echo(f"Restored: {done['rows']} records.")
    if done["lost"]:
        click.echo(
            f"{done['lost']} sealed values do not open with the present key ring: enter the API keys of these "
            "connections again and make webhooks of notices anew, or restore with --with-keys."
        )
    if done["restart"]:
        click.echo("The SSH host key was replaced: restart the server, so that agents find it.")


@click.group()
def database() -> None:
    """Look at the schema of the database, and bring it to the newest."""


@database.command("status", epilog="\b\nExample:\n  integration-server database status")
@place_options
@click.pass_context
def status(context: click.Context, config: Path | None, data_dir: Path | None) -> None:
    """Say where the database is and which schema it has."""
    from agent.server.database_commands import look

    place, schema = asyncio.run(look(settings_of(context, config, data_dir), os.environ))
    state = "nothing is there yet" if schema.present is None else f"schema {schema.present}"
    click.echo(f"{place}: {state}; the newest is {schema.newest}.")


@database.command(epilog="\b\nExample:\n  integration-server database migrate")
@place_options
@click.pass_context
def migrate(context: click.Context, config: Path | None, data_dir: Path | None) -> None:
    """Bring the database to the newest schema; stop the server before."""
    from agent.server.database_commands import bring_to_newest

    before, after = asyncio.run(bring_to_newest(settings_of(context, config, data_dir), os.environ))
    click.echo(
        f"The database has schema {after}" + (" already." if before == after else f"; it had {before or 'none'}.")
    )


@click.command(
    "copy-database",
    epilog="""\b
Example:
  INTEGRATION_SERVER_DATABASE_URL=postgresql://user:password@host/database integration-server copy-database

Copies the SQLite file of the data directory into the PostgreSQL database of database_url, which must be empty. Stop the
server before. Then set database_url for good, and start it.
""",
)
@place_options
@click.pass_context
def copy_database(context: click.Context, config: Path | None, data_dir: Path | None) -> None:
    """Copy everything from SQLite to PostgreSQL."""
    from agent.server.database_commands import copy_to_postgres

    place, counts = asyncio.run(copy_to_postgres(settings_of(context, config, data_dir), os.environ))
    for table, rows in counts.items():
        if rows:
            click.echo(f"  {table:<24} {rows}")
    click.echo(f"{sum(counts.values())} rows are in {place}.")
