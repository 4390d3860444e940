"""``prestashop-agent logs``: the lines of the agent on this machine, or where they are."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import click

from agent.cli.options import config_file, config_option
from agent.errors import AgentError


class NoJournalError(AgentError):
    """The journal holds nothing of this agent, or cannot be read here."""


@click.command(
    epilog="""\b
Examples:
  prestashop-agent logs                    the last 100 lines of the service
  prestashop-agent logs -f                 and those that come
  prestashop-agent logs --since "1 hour ago"
  prestashop-agent logs --instance lyon    of prestashop-agent@lyon.service

Needs root, or a member of the group systemd-journal.
"""
)
@config_option
@click.option("-n", "--lines", type=click.IntRange(1, 1_000_000), metavar="N", help="Last lines. Default: 100.")
@click.option("-f", "--follow", is_flag=True, help="Go on with the lines that come, until Ctrl-C.")
@click.option("--since", metavar="TIME", help='From then on, such as "10 min ago" or "2026-11-23 06:58".')
@click.option("--instance", metavar="NAME", help="The agent of prestashop-agent@NAME.service.")
@click.option("--explain", is_flag=True, help="Only print the command, or say where the lines are.")
@click.pass_context
def logs(
    context: click.Context,
    config: Path | None,
    lines: int | None,
    follow: bool,
    since: str | None,
    instance: str | None,
    explain: bool,
) -> None:
    """Show the agent's log: under systemd by journalctl, otherwise say where it is."""
    from agent.cli.log_place import Journal, Place, find_place, named_instance

    try:
        place: Place = named_instance(instance) if instance else find_place(_running_pid(config_file(context, config)))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--instance") from None
    if not isinstance(place, Journal):
        if explain:
            click.echo(place.sentence)
            return
        raise NoJournalError(place.sentence)
    command = place.command(lines=lines, follow=follow, since=since)
    if explain:
        click.echo(shlex.join(command))
        return
    program = shutil.which(command[0])
    if program is None:
        raise NoJournalError(f"{command[0]} is not installed here; where it is, run: {shlex.join(command)}")
    os.execv(program, command)  # noqa: S606 - no shell: the pager, the signals and the exit code are journalctl's


def _running_pid(config: Path | None) -> int | None:
    """The process whose log it is; None while none answers: then the unit that is installed is meant."""
    from agent.cli.local_client import ask_agent, usual_places
    from agent.settings import load_agent_settings

    try:
        settings, places = load_agent_settings(config, dict(os.environ), {}, is_root=os.geteuid() == 0)
        elsewhere = usual_places(os.environ, os.geteuid()) if settings.runtime_dir is None else ()
        return int(ask_agent(places.runtime_dir, "status", elsewhere=elsewhere)["pid"])
    except AgentError:  # settings that are wrong are a reason to read the log, too
        return None
