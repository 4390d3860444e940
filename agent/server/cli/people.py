"""``integration-server people``: who may use the panel."""

from __future__ import annotations

from typing import Any

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.options import on_admin_api, search_option
from agent.server.cli.output import PANEL_UNKNOWN, moment, print_json, print_list, print_outcome

_ROLES = click.Choice(["viewer", "editor", "admin"])
_person = click.argument("person", metavar="NAME|ID")


@click.group()
def people() -> None:
    """Invite, list, switch and delete people who use the panel."""


@people.command(
    epilog="""\b
Examples:
  integration-server people invite anne --role admin
  integration-server people invite victor

A link is printed that works once, for a day: whoever opens it chooses the password.
"""
)
@click.argument("name")
@click.option(
    "--role", type=_ROLES, default="viewer", show_default=True, help="Viewers look, editors change, admins mint."
)
@on_admin_api
def invite(api: AdminApi, name: str, role: str, as_json: bool) -> None:
    """Make an account and print the link with which its password is chosen."""
    _show_link(api.post("people", body={"name": name, "role": role}), as_json=as_json)


@people.command(epilog="\b\nExample:\n  integration-server people link anne")
@_person
@on_admin_api
def link(api: AdminApi, person: str, as_json: bool) -> None:
    """Print a new link, for a password that was lost."""
    _show_link(api.post("people", person, "link"), as_json=as_json)


def _show_link(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(
        f"Link for {made['person']['name']}, shown this once; it works once, until {moment(made['expires_at'])}:"
    )
    click.echo(made["link_url"] or made["link_path"])
    if made["link_url"] is None:
        click.echo(PANEL_UNKNOWN)


@people.command("list", epilog="\b\nExample:\n  integration-server people list --json")
@search_option
@on_admin_api
def list_(api: AdminApi, search: str, as_json: bool) -> None:
    """List the people."""
    print_list(
        api.get_all("people", query={"q": search}),
        {
            "NAME": lambda person: person["name"],
            "ROLE": lambda person: person["role"],
            "STATE": _state,
            "LAST LOGIN": lambda person: moment(person["last_login_at"]),
            "ID": lambda person: person["id"],
        },
        "Nobody can log in: integration-server people invite NAME --role admin makes a link.",
        as_json=as_json,
    )


def _state(person: dict[str, Any]) -> str:
    if not person["enabled"]:
        return "disabled"
    return "active" if person["has_password"] else "invited"


@people.command(epilog="\b\nExample:\n  integration-server people role victor editor")
@_person
@click.argument("role", type=_ROLES)
@on_admin_api
def role(api: AdminApi, person: str, role: str, as_json: bool) -> None:
    """Change what somebody may do; it counts at once."""
    print_outcome(api.patch("people", person, body={"role": role}), "{name} is {role} now.", as_json=as_json)


@people.command(epilog="\b\nExample:\n  integration-server people disable victor")
@_person
@on_admin_api
def disable(api: AdminApi, person: str, as_json: bool) -> None:
    """Keep somebody out; their sessions end at once."""
    print_outcome(
        api.post("people", person, "disable"), "{name} is disabled; their sessions are ended.", as_json=as_json
    )


@people.command(epilog="\b\nExample:\n  integration-server people enable victor")
@_person
@on_admin_api
def enable(api: AdminApi, person: str, as_json: bool) -> None:
    """Let somebody in again."""
    print_outcome(api.post("people", person, "enable"), "{name} is enabled.", as_json=as_json)


@people.command(epilog="\b\nExample:\n  integration-server people delete victor --yes")
@_person
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_admin_api
def delete(api: AdminApi, person: str, yes: bool, as_json: bool) -> None:
    """Delete somebody; the audit trail keeps the name."""
    if not yes:
        click.confirm(f"Delete {person}?", abort=True, err=True)
    print_outcome(api.delete("people", person), "{name} is deleted.", as_json=as_json)
