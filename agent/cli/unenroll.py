"""``prestashop-agent unenroll``: the service stopped, the token and everything else of the agent taken away."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from agent.cli.options import config_file, config_option
from agent.cli.store_options import instance_option

_LISTED_MAX = 6


@click.command(
    epilog="""\b
Examples:
  sudo prestashop-agent unenroll
  sudo prestashop-agent unenroll --yes --purge-settings      nothing is asked, nothing stays

The service is stopped (what runs may finish) and disabled; access token, instance id, pauses, access log and socket are
removed, the settings file with --purge-settings or when asked. The package stays. A second run finds nothing and is no
error. The token works elsewhere until it is revoked on the server: the last line says how.
"""
)
@config_option
@instance_option
@click.option("-y", "--yes", "--non-interactive", is_flag=True, help="Ask nothing.")
@click.option("--purge-settings/--keep-settings", default=None, help="Remove the settings file, too, or keep it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.pass_context
def unenroll(
    context: click.Context,
    config: Path | None,
    instance: str | None,
    yes: bool,
    purge_settings: bool | None,
    as_json: bool,
) -> int:
    """Take this agent away from this machine."""
    from agent.cli.said import Said
    from agent.enrolment.places import AgentPlaces
    from agent.enrolment.removal import Leftovers
    from agent.enrolment.service import Service
    from agent.enrolment.token_place import TokenPlace
    from agent.errors import StartError
    from agent.examination.machine import lock_holder

    said = Said(as_json=as_json)
    with said.errors_told():
        places = AgentPlaces.of(instance, config_file(context, config), dict(os.environ), is_root=os.geteuid() == 0)
        left = Leftovers.of(places)
        token = TokenPlace.look(left.locations.token_file).before
        service = Service.find(places.unit, places.environ)
        is_on = service is not None and (service.is_running() or service.is_enabled())
        can_ask = sys.stdin.isatty() and not yes
        there = left.there(with_settings=False)
        settings_there = os.path.lexists(left.settings_file)
        if left.trouble:
            said.say("Settings", left.trouble)
        purge = bool(purge_settings)
        if there or is_on or (settings_there and purge):
            for shown in _shown(there):
                said.say("To remove", shown)
            if not yes and not can_ask:
                raise StartError("Nothing was removed: nobody can be asked here; add --yes.")
            if can_ask and not click.confirm("Stop this agent and remove these?", default=False, err=True):
                raise StartError("Nothing was removed.")
        if settings_there and purge_settings is None and can_ask:
            purge = click.confirm(f"Remove the settings, {left.settings_file}, too?", default=False, err=True)
        if service is not None and is_on:
            service.disable()
            said.say("Service", f"{service.unit} is stopped and disabled.")
        holder = lock_holder(left.locations.state_dir)
        if holder is not None:
            raise StartError(
                f"This agent runs as process {holder}, started by hand: end it (Ctrl-C in its terminal, or kill "
                f"{holder}), then run this again."
            )
        removed = left.there(with_settings=purge)
        left.remove(with_settings=purge)
    for shown in _shown(removed):
        said.say("Removed", shown)
    if settings_there and not purge:
        said.say("Kept", f"{left.settings_file}; --purge-settings removes it, too")
    if not removed and not is_on:
        said.say("Result", "Nothing of this agent was left here.")
    if token is not None:
        said.say(
            "Server", f"The token works elsewhere until it is revoked, on the server of {', '.join(token.servers)}:"
        )
        said.say("", f"integration-server agents revoke {token.agent_id}")
    said.end(
        {
            "ok": True,
            "changed": bool(removed) or is_on,
            "removed": [str(path) for path in removed],
            "settings_file": str(left.settings_file) if settings_there and not purge else None,
            "agent_id": token.agent_id if token is not None else None,
        }
    )
    return 0


def _shown(paths: Sequence[Path]) -> Iterator[str]:
    """A line for each; one for all of a directory that has many, as an access log of some weeks."""
    for directory, group in itertools.groupby(paths, lambda path: path.parent):
        files = list(group)
        if len(files) > _LISTED_MAX:
            yield f"{directory}: {len(files)} files"
        else:
            yield from map(str, files)
