"""``integration-server notices``: what the server told by itself, and to whom."""

from __future__ import annotations

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.notice_targets import targets
from agent.server.cli.options import on_admin_api
from agent.server.cli.output import moment, print_list


@click.group()
def notices() -> None:
    """Show what the server told by itself: agents that went away, connections that failed, certificates that end.

    The targets are the webhooks and e-mail addresses that are told of it.
    """


notices.add_command(targets)


@notices.command("list", epilog="\b\nExample:\n  integration-server notices list --event agent.offline")
@click.option("--event", help="Only notices of this event, such as connection.failed.")
@on_admin_api
def list_(api: AdminApi, event: str | None, as_json: bool) -> None:
    """List the notices, newest first."""
    print_list(
        api.get_all("notices", query={"event": event} if event else None),
        {
            "WHEN": lambda notice: moment(notice["at"]),
            "EVENT": lambda notice: notice["event"],
            "NOTICE": lambda notice: notice["sentence"],
        },
        "There is no notice: nothing has gone wrong so far.",
        as_json=as_json,
    )
