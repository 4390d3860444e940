"""``integration-server audit``: who did what."""

from __future__ import annotations

import json

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.moments import since
from agent.server.cli.options import on_admin_api, search_option
from agent.server.cli.output import moment, print_list


@click.command(
    epilog="""\b
Examples:
  integration-server audit --since 7d
  integration-server audit --actor person:anne --action connection. --json
"""
)
@search_option
@click.option("--since", "since_", metavar="WHEN", help="90m, 12h, 7d ago, or a date such as 2026-11-01 (UTC).")
@click.option("--actor", default="", help="Who: person:NAME, token:NAME, local:NAME, server.")
@click.option("--action", default="", help="Beginning of what was done, such as agent. or connection.created.")
@on_admin_api
def audit(api: AdminApi, search: str, since_: str | None, actor: str, action: str, as_json: bool) -> None:
    """Show who did what, newest first."""
    query = {"q": search, "actor": actor, "action": action} | ({"since": since(since_)} if since_ else {})
    print_list(
        api.get_all("audit", query=query),
        {
            "WHEN": lambda entry: moment(entry["at"]),
            "WHO": lambda entry: entry["actor"],
            "WHAT": lambda entry: entry["action"],
            "SUBJECT": lambda entry: entry["subject"],
            "DETAIL": lambda entry: json.dumps(
                {name: value for name, value in entry["detail"].items() if not name.endswith("_id")}, ensure_ascii=False
            ),
        },
        "Nothing was found.",
        as_json=as_json,
    )
