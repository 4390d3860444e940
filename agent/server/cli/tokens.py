"""``integration-server tokens``: what programs use to call the control API."""

from __future__ import annotations

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.moments import expiry
from agent.server.cli.options import on_admin_api, search_option
from agent.server.cli.output import PANEL_UNKNOWN, moment, print_json, print_list, print_outcome


@click.group()
def tokens() -> None:
    """Create, list and revoke API tokens."""


@tokens.command(
    epilog="""\b
Examples:
  integration-server tokens create ci --role editor --expires 90d
  integration-server tokens create monitoring --scope status:read --scope agents:read
"""
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "editor", "admin"]),
    default="viewer",
    show_default=True,
    help="What it may do, as a person of that role.",
)
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="Narrow it further; may be repeated.")
@click.option("--expires", metavar="WHEN", help="90d, 12h, 2w, or a date such as 2027-01-31 (UTC).")
@on_admin_api
def create(api: AdminApi, name: str, role: str, scopes: tuple[str, ...], expires: str | None, as_json: bool) -> None:
    """Mint an API token and print it, this once."""
    body = {
        "name": name,
        "role": role,
        "scopes": list(scopes) or None,
        "expires_at": expiry(expires) if expires is not None else None,
    }
    made = api.post("api-tokens", body=body)
    if as_json:
        print_json(made)
        return
    click.echo("API token, shown this once:\n")
    click.echo(made["secret"])
    click.echo(f"\nSend it as  Authorization: Bearer TOKEN  to {made['api_url'] or '/v1'}/...")
    if made["api_url"] is None:
        click.echo(PANEL_UNKNOWN)


@tokens.command("list", epilog="\b\nExample:\n  integration-server tokens list --json")
@search_option
@on_admin_api
def list_(api: AdminApi, search: str, as_json: bool) -> None:
    """List the API tokens."""
    print_list(
        api.get_all("api-tokens", query={"q": search}),
        {
            "NAME": lambda token: token["name"],
            "ROLE": lambda token: token["role"],
            "SCOPES": lambda token: "all of the role" if token["scopes"] is None else ", ".join(token["scopes"]),
            "EXPIRES": lambda token: moment(token["expires_at"]),
            "STATE": lambda token: token["state"],
            "MADE BY": lambda token: token["made_by"],
            "LAST USED": lambda token: moment(token["last_used_at"]),
            "ID": lambda token: token["id"],
        },
        "There is no API token: integration-server tokens create NAME makes one.",
        as_json=as_json,
    )


@tokens.command(epilog="\b\nExample:\n  integration-server tokens revoke ci")
@click.argument("token", metavar="NAME|ID")
@on_admin_api
def revoke(api: AdminApi, token: str, as_json: bool) -> None:
    """Stop an API token at once."""
    print_outcome(api.post("api-tokens", token, "revoke"), "API token {name} ({id}) is revoked.", as_json=as_json)
