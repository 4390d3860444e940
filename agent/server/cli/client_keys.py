"""``integration-server client-keys``: create, list, show, update, clone, switch, revoke, delete."""

from __future__ import annotations

from typing import Any

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.connection_options import split_list
from agent.server.cli.moments import expiry
from agent.server.cli.options import on_admin_api, search_option, state_option
from agent.server.cli.output import moment, print_json, print_list, print_outcome, print_record


@click.group("client-keys")
def client_keys() -> None:
    """Create, change, list and revoke client keys: what integrations use in place of the webservice key."""


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
            "expires_at": expiry(expires) if expires is not None else None,
        },
    )
    _show_key(made, as_json=as_json)


def _show_key(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo("Client key, shown this once:\n")
    click.echo(made["key"])
    click.echo("\nIn the integration, use it as the webservice key, and as shop URL:\n")
    for url in made["urls"]:
        click.echo(url)


@client_keys.command(
    "list",
    epilog="""\b
Examples:
  integration-server client-keys list --json
  integration-server client-keys list --connection shop-lyon --state active
""",
)
@search_option
@click.option("--connection", metavar="SLUG", help="Only those that open this connection.")
@state_option("active", "disabled", "expired", "revoked")
@on_admin_api
def list_(api: AdminApi, search: str, connection: str | None, state: str | None, as_json: bool) -> None:
    """List the client keys; the keys themselves are not kept."""
    given = {"q": search, "connection": connection, "state": state}
    print_list(
        api.get_all("client-keys", query={name: value for name, value in given.items() if value is not None}),
        {
            "NAME": lambda key: key["name"],
            "CONNECTIONS": lambda key: ", ".join(_opened(key)),
            "METHODS": _methods,
            "EXPIRES": lambda key: moment(key["expires_at"]),
            "STATE": lambda key: key["state"],
            "LAST USED": lambda key: moment(key["last_used_at"]),
            "ID": lambda key: key["id"],
        },
        "No client key is like that: leave out --search, --connection or --state."
        if any((search, connection, state))
        else "There is no client key: integration-server client-keys create --connection SLUG makes one.",
        as_json=as_json,
    )


@client_keys.command(epilog="\b\nExample:\n  integration-server client-keys show reporting")
@click.argument("client_key", metavar="ID|NAME")
@on_admin_api
def show(api: AdminApi, client_key: str, as_json: bool) -> None:
    """Show what a client key opens, and until when; the key itself is not kept."""
    found = api.get("client-keys", client_key)
    if as_json:
        print_json(found)
        return
    print_record(
        {
            "name": found["name"],
            "id": found["id"],
            "state": found["state"],
            "connections": _opened(found),
            "methods": _methods(found),
            "created": moment(found["created_at"]),
            "expires": moment(found["expires_at"]),
            "revoked": moment(found["revoked_at"], "no"),
            "last used": moment(found["last_used_at"]),
        }
    )


def _opened(key: dict[str, Any]) -> list[str]:
    return ["all"] if key["connections"] is None else key["connections"] or ["none left"]


def _methods(key: dict[str, Any]) -> str:
    return "as the connection" if key["methods"] is None else ", ".join(key["methods"])


@client_keys.command(epilog="\b\nExample:\n  integration-server client-keys revoke shop-lyon")
@click.argument("client_key", metavar="ID|NAME")
@on_admin_api
def revoke(api: AdminApi, client_key: str, as_json: bool) -> None:
    """Stop a client key from the next request on."""
    print_outcome(
        api.post("client-keys", client_key, "revoke"), "Client key {name} ({id}) is revoked.", as_json=as_json
    )


@client_keys.command(
    epilog="""\b
Examples:
  integration-server client-keys update reporting --name "BI reporting"
  integration-server client-keys update reporting --connection shop-lyon --expires 30d

What is not given stays. --connection, where given, names every connection that the key opens from now on.
"""
)
@click.argument("client_key", metavar="ID|NAME")
@click.option("--name", help="Whose key it is.")
@click.option("--connection", "connections", multiple=True, metavar="SLUG", help="May be repeated.")
@click.option("--all", "all_connections", is_flag=True, help="Every connection, now and later.")
@click.option("--methods", metavar="LIST", help="Narrow what the connections allow, by commas.")
@click.option("--expires", metavar="WHEN", help="90d, 12h, 2w, a date, or never.")
@on_admin_api
def update(
    api: AdminApi,
    client_key: str,
    name: str | None,
    connections: tuple[str, ...],
    all_connections: bool,
    methods: str | None,
    expires: str | None,
    as_json: bool,
) -> None:
    """Change what a client key opens; the key itself stays."""
    body: dict[str, object] = {}
    if name is not None:
        body["name"] = name
    if connections:
        body["connections"] = list(connections)
    if all_connections:
        body["all_connections"] = True
    if methods is not None:
        body["methods"] = split_list(methods)
    if expires is not None:
        body["expires_at"] = None if expires == "never" else expiry(expires)
    print_outcome(
        api.patch("client-keys", client_key, body=body), "Client key {name} ({id}) is updated.", as_json=as_json
    )


@client_keys.command(epilog="\b\nExample:\n  integration-server client-keys clone reporting --name reporting-2")
@click.argument("client_key", metavar="ID|NAME")
@click.option("--name", required=True, help="Whose key the new one is.")
@on_admin_api
def clone(api: AdminApi, client_key: str, name: str, as_json: bool) -> None:
    """Mint a further key that opens the same, and print it, this once."""
    _show_key(api.post("client-keys", client_key, "clone", body={"name": name}), as_json=as_json)


@client_keys.command(epilog="\b\nExample:\n  integration-server client-keys disable shop-lyon")
@click.argument("client_key", metavar="ID|NAME")
@on_admin_api
def disable(api: AdminApi, client_key: str, as_json: bool) -> None:
    """Switch a client key off; it can be switched on again."""
    print_outcome(
        api.post("client-keys", client_key, "disable"), "Client key {name} ({id}) is disabled.", as_json=as_json
    )


@client_keys.command(epilog="\b\nExample:\n  integration-server client-keys enable shop-lyon")
@click.argument("client_key", metavar="ID|NAME")
@on_admin_api
def enable(api: AdminApi, client_key: str, as_json: bool) -> None:
    """Switch a client key on again."""
    print_outcome(
        api.post("client-keys", client_key, "enable"), "Client key {name} ({id}) is enabled.", as_json=as_json
    )


@client_keys.command(epilog="\b\nExample:\n  integration-server client-keys delete shop-lyon")
@click.argument("client_key", metavar="ID|NAME")
@on_admin_api
def delete(api: AdminApi, client_key: str, as_json: bool) -> None:
    """Forget a client key that is revoked or expired."""
    print_outcome(api.delete("client-keys", client_key), "Client key {name} is deleted.", as_json=as_json)
