"""``integration-server client-keys``: create, list, revoke."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.connections import split_list
from agent.server.cli.options import on_admin_api
from agent.server.cli.output import moment, print_json, print_list, print_outcome

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@click.group("client-keys")
def client_keys() -> None:
    """Create, list and revoke client keys: what integrations use in place of the webservice key."""


@client_keys.command(
    epilog="""\b
Examples:
  integration-server client-keys create --connection shop-lyon
  integration-server client-keys create --connection shop-lyon --connection shop-b2b --methods GET,HEAD --expires 90d
  integration-server client-keys create --all --name "reporting" --read-only
"""
)
@click.option("--connection", "connections", multiple=True, metavar="SLUG", help="May be repeated.")
@click.option("--all", "all_connections", is_flag=True, help="Every connection, now and later.")
@click.option("--name", help="Whose key it is. Default: the connection's slug.")
@click.option("--methods", metavar="LIST", help="Narrow what the connections allow, by commas.")
@click.option("--read-only", is_flag=True, help="Allow GET and HEAD only.")
@click.option("--expires", metavar="WHEN", help="90d, 12h, 2w, or a date such as 2027-01-31 (UTC).")
@on_admin_api
def create(
    api: AdminApi,
    connections: tuple[str, ...],
    all_connections: bool,
    name: str | None,
    methods: str | None,
    read_only: bool,
    expires: str | None,
    as_json: bool,
) -> None:
    """Mint a client key and print it, this once.

    The URL to use it with is printed as well.
    """
    if read_only and methods is not None:
        raise click.UsageError("--read-only and --methods exclude each other.")
    made = api.post(
        "client-keys",
        body={
            "name": name,
            "connections": list(connections),
            "all_connections": all_connections,
            "methods": ["GET", "HEAD"] if read_only else split_list(methods),
            "expires_at": _expiry(expires) if expires is not None else None,
        },
    )
    if as_json:
        print_json(made)
        return
    click.echo("Client key, shown this once:\n")
    click.echo(made["key"])
    click.echo("\nIn the integration, use it as the webservice key, and as shop URL:\n")
    for url in made["urls"]:
        click.echo(url)


def _expiry(text: str) -> str:
    """The ISO time that ``90d`` or a date means. A date ends with that day."""
    duration = _DURATION.fullmatch(text.strip().lower())
    if duration is not None:
        return (datetime.now(UTC) + timedelta(**{_UNITS[duration[2]]: int(duration[1])})).isoformat()
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.BadParameter("write 90d, 12h, 2w, or a date such as 2027-01-31.", param_hint="--expires") from None
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text.strip()):
        moment += timedelta(days=1)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()


@client_keys.command("list", epilog="\b\nExample:\n  integration-server client-keys list --json")
@on_admin_api
def list_(api: AdminApi, as_json: bool) -> None:
    """List the client keys; the keys themselves are not kept."""
    print_list(
        api.get("client-keys"),
        {
            "NAME": lambda key: key["name"],
            "CONNECTIONS": lambda key: (
                "all" if key["connections"] is None else ", ".join(key["connections"]) or "none left"
            ),
            "METHODS": lambda key: "as the connection" if key["methods"] is None else ", ".join(key["methods"]),
            "EXPIRES": lambda key: moment(key["expires_at"]),
            "REVOKED": lambda key: moment(key["revoked_at"], "no"),
            "ID": lambda key: key["id"],
        },
        "There is no client key: integration-server client-keys create --connection SLUG makes one.",
        as_json=as_json,
    )


@client_keys.command(epilog="\b\nExample:\n  integration-server client-keys revoke shop-lyon")
@click.argument("client_key", metavar="ID|NAME")
@on_admin_api
def revoke(api: AdminApi, client_key: str, as_json: bool) -> None:
    """Stop a client key from the next request on."""
    print_outcome(
        api.post("client-keys", client_key, "revoke"), "Client key {name} ({id}) is revoked.", as_json=as_json
    )
