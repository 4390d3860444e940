"""``integration-server notices targets``: who is told of what the server notices."""

from __future__ import annotations

from typing import Any, Final

import click

from agent.server.cli.admin import AdminApi
from agent.server.cli.options import on_admin_api, search_option
from agent.server.cli.output import moment, print_json, print_list, print_outcome
from agent.server.cli.secret_input import read_secret

_ALL: Final = "all"  # no event has that name
_reference = click.argument("target", metavar="NAME|ID")
_url_file = click.option("--url-file", metavar="FILE", help="File with the URL of the webhook; - for stdin.")
_events = click.option(
    "--event",
    "events",
    multiple=True,
    metavar="EVENT",
    help="Only notices of this event, such as agent.offline; may be repeated.",
)


@click.group()
def targets() -> None:
    """List, create, update, test and delete notice targets: webhooks and e-mail addresses."""


@targets.command("list", epilog="\b\nExample:\n  integration-server notices targets list --json")
@search_option
@on_admin_api
def list_(api: AdminApi, search: str, as_json: bool) -> None:
    """List the notice targets, and what came of their last notices."""
    print_list(
        api.get_all("notice-targets", query={"q": search}),
        {
            "NAME": lambda target: target["name"],
            "KIND": lambda target: target["kind"],
            "ADDRESS": lambda target: target["address_shown"],
            "EVENTS": lambda target: _ALL if target["events"] is None else ", ".join(target["events"]),
            "STATE": lambda target: "on" if target["enabled"] else "off",
            "WAITING": lambda target: target["waiting"],
            "DELIVERED": lambda target: moment(target["delivered_at"]),
            "ID": lambda target: target["id"],
            "LAST ERROR": lambda target: target["error"],
        },
        "There is no notice target: integration-server notices targets create NAME --email ADDRESS makes one.",
        as_json=as_json,
    )


@targets.command(
    epilog="""\b
Examples:
  integration-server notices targets create ops --email ops@example.com
  integration-server notices targets create chat --webhook --event agent.offline --event connection.failed
  integration-server notices targets create chat --webhook --url-file - < url.txt

The URL of a webhook is asked for, or read from a file or standard input; never from the command line, since it may
hold a token.
"""
)
@click.argument("name")
@click.option("--webhook", is_flag=True, help="Send to an https URL.")
@_url_file
@click.option("--email", metavar="ADDRESS", help="Send to an e-mail address; the settings must name a mail server.")
@_events
@on_admin_api
def create(
    api: AdminApi,
    name: str,
    webhook: bool,
    url_file: str | None,
    email: str | None,
    events: tuple[str, ...],
    as_json: bool,
) -> None:
    """Have notices sent to a webhook or an e-mail address.

    The secret that signs a webhook's notices is printed, this once.
    """
    if (webhook or url_file is not None) == (email is not None):
        raise click.UsageError("Give either --webhook or --email ADDRESS.")
    body = {
        "name": name,
        "kind": "webhook" if email is None else "email",
        "address": email if email is not None else _read_url(url_file),
        "events": _chosen(events),
    }
    made = api.post("notice-targets", body=body)
    _show_secret(made, "Notice target {name} is made: {kind}, {address_shown}.", as_json=as_json)


@targets.command(
    epilog="""\b
Examples:
  integration-server notices targets update chat --event agent.offline
  integration-server notices targets update chat --event all --new-url
  integration-server notices targets update ops --disable

What is not given stays. --event, where given, names every event from now on. Switching a target off ends what waits
for it.
"""
)
@_reference
@click.option("--name", help="A new name.")
@click.option("--new-url", is_flag=True, help="Ask for the new URL of a webhook.")
@_url_file
@click.option("--email", metavar="ADDRESS", help="The new address of an e-mail target.")
@_events
@click.option("--enable/--disable", "enabled", default=None, help="Switch it on or off.")
@on_admin_api
def update(
    api: AdminApi,
    target: str,
    name: str | None,
    new_url: bool,
    url_file: str | None,
    email: str | None,
    events: tuple[str, ...],
    enabled: bool | None,
    as_json: bool,
) -> None:
    """Change a notice target."""
    if (new_url or url_file is not None) and email is not None:
        raise click.UsageError("A target is a webhook or an e-mail address: give the URL or --email, not both.")
    given = {"name": name, "address": email, "enabled": enabled}
    body: dict[str, object] = {field: value for field, value in given.items() if value is not None}
    if events:
        body["events"] = _chosen(events)
    if new_url or url_file is not None:
        body["address"] = _read_url(url_file)
    changed = api.patch("notice-targets", target, body=body)
    print_outcome(changed, "Notice target {name} ({id}) is updated.", as_json=as_json)


@targets.command(epilog="\b\nExample:\n  integration-server notices targets delete chat --yes")
@_reference
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_admin_api
def delete(api: AdminApi, target: str, yes: bool, as_json: bool) -> None:
    """Delete a notice target, with what waits for it."""
    if not yes:
        click.confirm(f"Delete notice target {target} with what waits for it?", abort=True, err=True)
    print_outcome(api.delete("notice-targets", target), "Notice target {name} is deleted.", as_json=as_json)


@targets.command(
    epilog="""\b
Example:
  integration-server notices targets test chat

Exit code 0 when the receiver took it. What waits for the target is tried again at once then.
"""
)
@_reference
@on_admin_api
def test(api: AdminApi, target: str, as_json: bool) -> int:
    """Send a test notice now, and say what came of it."""
    outcome = api.post("notice-targets", target, "test")
    if as_json:
        print_json(outcome)
    elif outcome["ok"]:
        click.echo(f"The test notice was taken after {outcome['elapsed_ms']:.0f} ms.")
    else:
        click.echo(f"The test notice did not arrive: {outcome['error']}")
    return 0 if outcome["ok"] else 1


@targets.command("rotate-secret", epilog="\b\nExample:\n  integration-server notices targets rotate-secret chat")
@_reference
@on_admin_api
def rotate_secret(api: AdminApi, target: str, as_json: bool) -> None:
    """Give a webhook a new signing secret and print it, this once; the old one ends at once."""
    _show_secret(api.post("notice-targets", target, "rotate-secret"), "", as_json=as_json)


def _show_secret(made: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    if sentence:
        click.echo(sentence.format_map(made["target"]))
    if made["signing_secret"] is not None:
        click.echo("Signing secret, shown this once:\n")
        click.echo(made["signing_secret"])
        click.echo("\nThe receiver checks notices with it: see docs/notices.md.")


def _chosen(events: tuple[str, ...]) -> list[str] | None:
    return None if not events or _ALL in events else list(events)


def _read_url(file: str | None) -> str:
    return read_secret(
        file, what="URL", option="--url-file", remedy="put the URL of the webhook", prompt="URL of the webhook"
    )
