"""``integration-server connections``: create, update, clone, show, list, switch, delete; its tests are beside."""

from __future__ import annotations

from typing import Any

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.connection_options import api_key_option, connection_body, connection_options, read_api_key
from agent.server.cli.connection_tests import test, tests, try_
from agent.server.cli.options import on_admin_api, search_option, state_option
from agent.server.cli.output import moment, print_json, print_list, print_outcome, print_record

_reference = click.argument("connection", metavar="SLUG|ID|NAME")
_STATES = {
    "enabled": {"enabled": "true"},
    "disabled": {"enabled": "false", "needs_key": "false"},
    "needs-key": {"needs_key": "true"},
}


@click.group()
def connections() -> None:
    """Create, list, test, update, switch and delete connections: the stores that integrations reach."""


for _command in (test, try_, tests):
    connections.add_command(_command)


@connections.command(
    epilog="""\b
Examples:
  integration-server connections create --name "Shop Lyon" --mode on-premise --agent warehouse \\
      --store-url https://shop.example.com/admin123abc/
  integration-server connections create --name "Shop B2B" --mode cloud --read-only \\
      --store-url https://b2b.example.com/api/ --api-key-file - < key.txt
  integration-server connections create --name "Shop Paris" --mode cloud --store-url https://paris.example.com/api/ \\
      --ca-file ca.pem --response-timeout 300 --header "X-Channel: erp" --test-path "/api/orders?limit=1"

The API key is asked for, or read from a file or standard input; never from the command line, which others can see.
Where to get one: back office > Advanced parameters > Webservice: enable it, save, add a key, tick what it may do.
"""
)
@connection_options(new=True)
@on_admin_api
def create(api: AdminApi, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - values of any option
    """Register a connection and print its address on the gateway."""
    _show_made(api.post("connections", body=connection_body(**given)), as_json=as_json)


def _show_made(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(f"Connection {made['slug']} is registered.")
    _print_addresses(made)
    click.echo(f"\nTest it:     integration-server connections test {made['slug']}")
    click.echo(f"Give access: integration-server client-keys create --connection {made['slug']}")


@connections.command(
    epilog="""\b
Examples:
  integration-server connections update shop-lyon --store-url https://www.shop.example.com/
  integration-server connections update shop-lyon --mode on-premise --agent warehouse
  integration-server connections update shop-lyon --read-only --resources orders,customers
  integration-server connections update shop-lyon --response-timeout "" --headers-file headers.txt
  integration-server connections update shop-lyon --api-key-file - < key.txt

What is not given stays as it is. The API key is asked for again at every edit, or read from a file or standard
input: so no store and no agent is ever sent a key that was not entered for it. Without options, only the key changes.
"""
)
@_reference
@connection_options(new=False)
@on_admin_api
def update(api: AdminApi, connection: str, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - values of any option
    """Change a connection; its address on the gateway stays."""
    changed = api.patch("connections", connection, body=connection_body(**given))
    if as_json:
        print_json(changed)
        return
    click.echo(f"Connection {changed['slug']} is updated{'' if changed['enabled'] else '; it is disabled, as before'}.")
    _print_addresses(changed)
    click.echo(f"\nTest it: integration-server connections test {changed['slug']}")


def _print_addresses(connection: dict[str, Any]) -> None:
    click.echo(f"  store     {connection['webservice_url']}")
    click.echo(f"  gateway   {connection['gateway_url']}")


@connections.command(
    epilog="""\b
Example:
  integration-server connections clone shop-lyon --name "Shop Paris" --api-key-file - < key.txt

The API key of the copy is asked for, or read from a file or standard input: the other one's is never read out.
"""
)
@_reference
@click.option("--name", required=True, help="The name of the new connection; its gateway path is derived from it.")
@api_key_option
@on_admin_api
def clone(api: AdminApi, connection: str, name: str, api_key_file: str | None, as_json: bool) -> None:
    """Register a connection that is set up like another one, with an API key of its own."""
    body = {"name": name, "api_key": read_api_key(api_key_file)}
    _show_made(api.post("connections", connection, "clone", body=body), as_json=as_json)


@connections.command(
    "list",
    epilog="""\b
Examples:
  integration-server connections list --search lyon
  integration-server connections list --mode on-premise --agent warehouse --state disabled
""",
)
@search_option
@click.option("--mode", type=click.Choice(["cloud", "on-premise"]), help="Only those of this mode.")
@click.option("--agent", metavar="NAME|ID", help="Only those of this agent.")
@state_option(*_STATES)
@on_admin_api
def list_(api: AdminApi, search: str, mode: str | None, agent: str | None, state: str | None, as_json: bool) -> None:
    """List the connections."""
    given = {"q": search, "mode": mode, "agent": agent, **(_STATES[state] if state is not None else {})}
    query = {name: value for name, value in given.items() if value is not None}
    is_filtered = any((search, mode, agent, state))
    print_list(
        api.get_all("connections", query=query),
        {
            "SLUG": lambda connection: connection["slug"],
            "NAME": lambda connection: connection["name"],
            "MODE": lambda connection: connection["mode"],
            "AGENT": lambda connection: connection["agent_name"],
            "STORE": lambda connection: connection["store_url"],
            "STATE": _state,
        },
        "No connection is like that: leave out --search, --mode, --agent or --state."
        if is_filtered
        else "There is no connection: integration-server connections create makes one.",
        as_json=as_json,
    )


@connections.command(epilog="\b\nExample:\n  integration-server connections show shop-lyon --json")
@_reference
@on_admin_api
def show(api: AdminApi, connection: str, as_json: bool) -> None:
    """Show all settings of a connection; its API key is never shown."""
    found = api.get("connections", connection)
    if as_json:
        print_json(found)
        return
    timeout = found["response_timeout_s"]
    print_record(
        {
            "name": found["name"],
            "slug": found["slug"],
            "id": found["id"],
            "state": _state(found),
            "gateway": found["gateway_url"],
            "mode": found["mode"],
            "agent": found["agent_name"],
            "store": found["store_url"],
            "webservice": found["webservice_url"],
            "id_shop": found["id_shop"],
            "virtual URI": found["virtual_uri"],
            "shop host": found["shop_host"],
            "API key sent as": "Basic user" if found["key_in"] == "basic" else "ws_key",
            "methods": ", ".join(found["methods"]),
            "resources": ", ".join(found["resources"]) if found["resources"] is not None else "all",
            "concurrency": found["concurrency"],
            "response timeout": f"{timeout:g} s" if timeout is not None else "as the settings of the server say",
            "headers": [f"{header['name']}: {header['value']}" for header in found["headers"]],
            "test": f"{found['test_method']} {found['test_path']}",
            "certificate": _certificate(found),
            "client keys": found["client_keys"],
            "created": moment(found["created_at"]),
            "updated": moment(found["updated_at"]),
            "warnings": found["warnings"],
        }
    )


def _certificate(connection: dict[str, Any]) -> str:
    if connection["mode"] == "on-premise":
        return "checked by the agent, as its settings say"
    if not connection["verify_tls"]:
        return "not checked"
    return "checked against the CA that was given" if connection["ca_pem"] else "checked against the public CAs"


def _state(connection: dict[str, Any]) -> str:
    if connection["needs_key"]:
        return "needs its key"
    return "enabled" if connection["enabled"] else "disabled"


@connections.command(epilog="\b\nExample:\n  integration-server connections enable shop-lyon")
@_reference
@on_admin_api
def enable(api: AdminApi, connection: str, as_json: bool) -> None:
    """Switch a connection on."""
    print_outcome(api.post("connections", connection, "enable"), "Connection {slug} is enabled.", as_json=as_json)


@connections.command(epilog="\b\nExample:\n  integration-server connections disable shop-lyon")
@_reference
@on_admin_api
def disable(api: AdminApi, connection: str, as_json: bool) -> None:
    """Switch a connection off.

    The gateway then answers connection_disabled.
    """
    print_outcome(api.post("connections", connection, "disable"), "Connection {slug} is disabled.", as_json=as_json)


@connections.command(epilog="\b\nExample:\n  integration-server connections delete shop-lyon --yes")
@_reference
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_admin_api
def delete(api: AdminApi, connection: str, yes: bool, as_json: bool) -> None:
    """Delete a connection with its stored key.

    Its address on the gateway is never given to another one.
    """
    if not yes:
        click.confirm(f"Delete connection {connection} with its stored API key?", abort=True, err=True)
    print_outcome(api.delete("connections", connection), "Connection {slug} is deleted.", as_json=as_json)
