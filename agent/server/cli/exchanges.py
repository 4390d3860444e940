"""``integration-server exchanges``: the last requests of integrations, as they end."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.options import on_admin_api
from agent.server.cli.output import print_json, print_table

_EVERY_S: Final = 1.0
_COLUMNS: Final = ("TIME", "CONNECTION", "REQUEST", "ANSWER", "BY", "TOTAL", "WAITED", "TUNNEL", "STORE")


@click.command(
    epilog="""\b
Examples:
  integration-server exchanges
  integration-server exchanges --connection shop-lyon --errors
  integration-server exchanges --follow

Paths have the names of their parameters and no values. The store's time is an estimate.
"""
)
@click.option("--connection", default="", metavar="SLUG", help="Only those of one connection.")
@click.option("--errors", is_flag=True, help="Only those that failed.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many at most.")
@click.option("--follow", is_flag=True, help="Go on showing new ones; Ctrl-C ends it.")
@on_admin_api
def exchanges(api: AdminApi, connection: str, errors: bool, limit: int, follow: bool, as_json: bool) -> None:
    """Show the last exchanges of the running server."""
    query = {"connection": connection, "errors_only": str(errors).lower()}
    found = api.get("exchanges", query=query | {"limit": str(limit)})
    if as_json and not follow:
        print_json(found)
        return
    _show(list(reversed(found)), heading=True)
    last = max((entry["number"] for entry in found), default=0)
    while follow:
        time.sleep(_EVERY_S)
        new = [entry for entry in reversed(api.get("exchanges", query=query)) if entry["number"] > last]
        if new:
            last = new[-1]["number"]
            _show(new, heading=False)


def _show(entries: list[dict[str, Any]], *, heading: bool) -> None:
    rows = [
        (
            entry["at"][11:19],
            entry["connection"],
            f"{entry['method']} {entry['target'][:70]}",
            f"{entry['status']} {entry['error']}".strip(),
            entry["answered_by"],
            *(_time(entry[name]) for name in ("total_ms", "waited_ms", "tunnel_ms", "store_ms")),
        )
        for entry in entries
    ]
    if heading:
        print_table(_COLUMNS, rows, "No exchange yet: requests of integrations appear here as they end.")
        return
    for row in rows:
        click.echo("  ".join(str(cell) for cell in row))


def _time(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
