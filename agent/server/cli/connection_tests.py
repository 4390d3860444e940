"""``integration-server connections test``, ``try`` and ``tests``: what a test finds, now and before."""

from __future__ import annotations

import sys
from typing import Any

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.connection_options import connection_body, connection_options
from agent.server.cli.options import on_admin_api
from agent.server.cli.output import moment, print_json, print_list
from agent.server.cli.report import show_outcome, show_report, show_step

_reference = click.argument("connection", metavar="SLUG|ID|NAME")
_CAUSES = {"person": "by hand", "schedule": "by schedule", "tunnel": "agent came back"}
_UNSAVED = "not saved"


@click.command(
    "test",
    epilog="""\b
Example:
  integration-server connections test shop-lyon

Looks layer by layer, from the agent to the permissions of the stored key, and stops at the first that fails. At a
terminal each layer is shown as it is done; Ctrl-C breaks the test off. Exit code 0 when all is well.
""",
)
@_reference
@on_admin_api
def test(api: AdminApi, connection: str, as_json: bool) -> int:
    """Test a connection and say what is wrong and what to do."""
    return _tested(api, connection, "test", body={}, title=connection, as_json=as_json)


@click.command(
    "try",
    epilog="""\b
Example:
  integration-server connections try --mode cloud --store-url https://shop.example.com/ --api-key-file - < key.txt

Takes the options of connections create, and tests without making anything; nothing is kept. Exit code 0 when all is
well.
""",
)
@connection_options(new=True, saved=False)
@on_admin_api
def try_(api: AdminApi, as_json: bool, **given: Any) -> int:  # noqa: ANN401 - values of any option
    """Test a connection that is not saved."""
    body = {"name": _UNSAVED, **connection_body(**given)}
    return _tested(api, "test", body=body, title=_UNSAVED, as_json=as_json)


@click.command("tests", epilog="\b\nExample:\n  integration-server connections tests shop-lyon --limit 5")
@_reference
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many at most.")
@on_admin_api
def tests(api: AdminApi, connection: str, limit: int, as_json: bool) -> None:
    """List the last tests of a connection, newest first."""
    print_list(
        api.get("connections", connection, "tests", query={"limit": str(limit)})["items"],
        {
            "WHEN": lambda made: moment(made["at"]),
            "CAUSE": lambda made: _CAUSES[made["cause"]],
            "OUTCOME": lambda made: made["verdict"],
            "TIME": lambda made: f"{made['elapsed_ms']:.0f} ms",
            "FINDING": lambda made: made["finding"],
        },
        "It was not tested yet, or its tests are forgotten: integration-server connections test makes one.",
        as_json=as_json,
    )


def _tested(api: AdminApi, *path: str, body: dict[str, object], title: str, as_json: bool) -> int:
    if as_json or not sys.stdout.isatty():
        outcome = api.post("connections", *path, body=body)
        if as_json:
            print_json(outcome)
        else:
            show_report(outcome, outcome["slug"] or title)
    else:
        click.echo(f"Testing {title} ...")
        outcome = api.watch("connections", *path, body=body, on_step=show_step)
        show_outcome(outcome, outcome["slug"] or title)
    return 0 if outcome["ok"] else 1
