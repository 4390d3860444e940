"""``integration-server connections``: create, update, list, test, enable, disable, delete."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from agent.errors import StartError
from agent.server.cli.admin import AdminApi
from agent.server.cli.options import on_admin_api, search_option
from agent.server.cli.output import print_json, print_list, print_outcome
from agent.server.cli.report import show_report

F = TypeVar("F", bound=Callable[..., Any])

_KEY_FILE_MAX_BYTES = 4096
_reference = click.argument("connection", metavar="SLUG|ID|NAME")
_TO_DROP = ' "" drops it.'
_ALL = "all"  # no resource of PrestaShop has that name


def _connection_options(*, new: bool) -> Callable[[F], F]:
    """The options of a connection: with defaults for a new one, without for one that is edited."""

    def default(value: object) -> Any:  # noqa: ANN401 - as click takes it
        return value if new else None

    options = [
        click.option(
            "--name",
            required=new,
            help="Clear and distinguishable; the gateway path is derived from it." if new else "The slug stays.",
        ),
        click.option(
            "--mode",
            type=click.Choice(["cloud", "on-premise"]),
            required=new,
            help="cloud: this server reaches the store; on-premise: an agent does.",
        ),
        click.option("--agent", metavar="NAME|ID", help="The agent, for on-premise."),
        click.option(
            "--store-url", required=new, metavar="URL", help="Shop or back-office URL as seen in the browser."
        ),
        click.option("--api-key-file", metavar="FILE", help="File with the webservice key; - for stdin."),
        click.option(
            "--key-in",
            type=click.Choice(["basic", "ws_key"]),
            default=default("basic"),
            show_default=True,
            help="How the key is sent; ws_key for hosts that lose the Authorization header.",
        ),
        click.option("--read-only", is_flag=True, help="Allow GET and HEAD only."),
        click.option(
            "--methods", metavar="LIST", help="Allowed methods by commas." + (" Default: all six." if new else "")
        ),
        click.option(
            "--resources",
            metavar="LIST",
            help="Allowed resources by commas, or all." + (" Default: all." if new else ""),
        ),
        click.option(
            "--concurrency",
            type=int,
            default=default(8),
            show_default=True,
            help="Requests at the store at once, 1 to 50.",
        ),
        click.option("--id-shop", metavar="N", help="Shop number of a multistore." + ("" if new else _TO_DROP)),
        click.option(
            "--virtual-uri", metavar="FOLDER", help="Virtual folder of a multistore." + ("" if new else _TO_DROP)
        ),
        click.option(
            "--shop-host",
            metavar="HOST",
            help="The shop's own domain, where it differs from the URL; for cloud." + ("" if new else _TO_DROP),
        ),
    ]
    return lambda command: functools.reduce(lambda done, option: option(done), reversed(options), command)


@click.group()
def connections() -> None:
    """Create, list, test, update, switch and delete connections: the stores that integrations reach."""


@connections.command(
    epilog="""\b
Examples:
  integration-server connections create --name "Shop Lyon" --mode on-premise --agent warehouse \\
      --store-url https://shop.example.com/admin123abc/
  integration-server connections create --name "Shop B2B" --mode cloud --read-only \\
      --store-url https://b2b.example.com/api/ --api-key-file - < key.txt

The API key is asked for, or read from a file or standard input; never from the command line, which others can see.
Where to get one: back office > Advanced parameters > Webservice: enable it, save, add a key, tick what it may do.
"""
)
@_connection_options(new=True)
@on_admin_api
def create(api: AdminApi, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - values of any option
    """Register a connection and print its address on the gateway."""
    made = api.post("connections", body=_body(**given))
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
  integration-server connections update shop-lyon --api-key-file - < key.txt

What is not given stays as it is. The API key is asked for again at every edit, or read from a file or standard
input: so no store and no agent is ever sent a key that was not entered for it. Without options, only the key changes.
"""
)
@_reference
@_connection_options(new=False)
@on_admin_api
def update(api: AdminApi, connection: str, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - values of any option
    """Change a connection; its address on the gateway stays."""
    changed = api.patch("connections", connection, body=_body(**given))
    if as_json:
        print_json(changed)
        return
    click.echo(f"Connection {changed['slug']} is updated{'' if changed['enabled'] else '; it is disabled, as before'}.")
    _print_addresses(changed)
    click.echo(f"\nTest it: integration-server connections test {changed['slug']}")


def _print_addresses(connection: dict[str, Any]) -> None:
    click.echo(f"  store     {connection['webservice_url']}")
    click.echo(f"  gateway   {connection['gateway_url']}")


def _body(
    *,
    api_key_file: str | None,
    read_only: bool,
    methods: str | None,
    resources: str | None,
    **given: object,
) -> dict[str, object]:
    """What was given, as the API takes it; the key is read last, when the rest of the command line is right."""
    if read_only and methods is not None:
        raise click.UsageError("--read-only and --methods exclude each other.")
    body = {name: value for name, value in given.items() if value is not None}
    if read_only or methods is not None:
        body["methods"] = ["GET", "HEAD"] if read_only else split_list(methods)
    if resources is not None:
        body["resources"] = None if resources.strip() == _ALL else split_list(resources)
    return body | {"api_key": _read_api_key(api_key_file)}


def split_list(text: str | None) -> list[str] | None:
    """``a,b`` -> [a, b]; None stays None."""
    return [part.strip() for part in text.split(",") if part.strip()] if text is not None else None


def _read_api_key(file: str | None) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise StartError("No API key was given: name a file with --api-key-file, or - to read standard input.")
        return str(click.prompt("API key (webservice key of the shop)", hide_input=True, err=True)).strip()
    source = "on standard input" if file == "-" else f"in {file}"
    try:
        with click.open_file(file, "rb") as opened:
            key = str(opened.read(_KEY_FILE_MAX_BYTES), "utf-8").strip()
    except UnicodeDecodeError:
        raise StartError(f"The API key {source} is not text: put the webservice key and nothing else there.") from None
    except OSError as error:
        raise StartError(f"The API key {source} cannot be read ({error.strerror}): name another file.") from None
    if not key:
        raise StartError(f"The API key {source} is empty: put the webservice key there.")
    return key


@connections.command("list", epilog="\b\nExample:\n  integration-server connections list --search lyon")
@search_option
@on_admin_api
def list_(api: AdminApi, search: str, as_json: bool) -> None:
    """List the connections."""
    print_list(
        api.get_all("connections", query={"q": search}),
        {
            "SLUG": lambda connection: connection["slug"],
            "NAME": lambda connection: connection["name"],
            "MODE": lambda connection: connection["mode"],
            "AGENT": lambda connection: connection["agent_name"],
            "STORE": lambda connection: connection["store_url"],
            "STATE": _state,
        },
        "There is no connection: integration-server connections create makes one.",
        as_json=as_json,
    )


def _state(connection: dict[str, Any]) -> str:
    if connection["needs_key"]:
        return "needs its key"
    return "enabled" if connection["enabled"] else "disabled"


@connections.command(
    epilog="""\b
Example:
  integration-server connections test shop-lyon

Looks layer by layer, from the agent to the permissions of the stored key, and stops at the first that fails. Exit code
0 when all is well.
"""
)
@_reference
@on_admin_api
def test(api: AdminApi, connection: str, as_json: bool) -> int:
    """Test a connection and say what is wrong and what to do."""
    outcome = api.post("connections", connection, "test")
    if as_json:
        print_json(outcome)
    else:
        show_report(outcome, outcome["slug"])
    return 0 if outcome["ok"] else 1


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
