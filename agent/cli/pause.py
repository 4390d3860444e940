"""``prestashop-agent pause`` and ``resume``: the shop's own switch, in the running agent or in its state directory."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.durations import read_duration, shown_moment
from agent.cli.options import config_file, config_option
from agent.cli.page import plain

if TYPE_CHECKING:
    from agent.locations import Locations
    from agent.pause_file import PauseFile
    from agent.settings import AgentSettings

_WHO = """Works as the user that runs the agent, or as root, at once; also while no agent runs, for the next start."""

_LATER = "No agent is running here: this counts from the next start of the one whose state is in {}."

stores_option = click.option(
    "--store", "stores", multiple=True, metavar="URL", help="This store only (several times for several)."
)


def _duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    found = read_duration(text)
    if found is None:
        raise click.BadParameter("write 30m, 12h, 2d or 1w.", context, parameter)
    return found.total_seconds()


@click.command(
    epilog=f"""\b
Examples:
  sudo prestashop-agent pause                                  everything, until resume
  prestashop-agent pause --for 30m --reason "stocktaking"
  prestashop-agent pause --store https://shop.example.com --cut

Requests are answered with policy_denied (403) and say since when; nothing reaches the store. What runs already ends by
itself, unless --cut. {_WHO}
"""
)
@config_option
@stores_option
@click.option("--for", "for_s", callback=_duration, metavar="TIME", help="End by itself: 30m, 12h, 2d, 1w.")
@click.option("--reason", metavar="TEXT", help="Shown to whoever asks for the store.")
@click.option("--cut", is_flag=True, help="End the requests that run, too, at once.")
@click.pass_context
def pause(
    context: click.Context,
    config: Path | None,
    stores: tuple[str, ...],
    for_s: float | None,
    reason: str | None,
    cut: bool,
) -> int:
    """Let no request through to the stores, until `resume`."""
    settings, places = _settings(context, config)
    arguments = {"stores": list(stores), "for_s": for_s, "reason": reason, "cut": cut}
    answer = _ask_or_none(settings, places, "pause", arguments)
    if answer is None:
        answer = _pause_in_file(settings, places, arguments)
        click.echo(_LATER.format(places.state_dir))
    for entry in answer["paused"]:
        click.echo(_line(entry))
    if answer.get("cut"):
        click.echo(f"Requests that were ended: {answer['cut']}")
    if answer.get("unkept"):
        click.echo(f"Warning: {plain(answer['unkept'], 1000)}", err=True)
    return 0


@click.command(
    epilog=f"""\b
Examples:
  sudo prestashop-agent resume
  prestashop-agent resume --store https://shop.example.com

{_WHO}
"""
)
@config_option
@stores_option
@click.pass_context
def resume(context: click.Context, config: Path | None, stores: tuple[str, ...]) -> int:
    """Let requests through again."""
    settings, places = _settings(context, config)
    arguments = {"stores": list(stores)}
    answer = _ask_or_none(settings, places, "resume", arguments)
    if answer is None:
        answer = _resume_in_file(places, arguments)
        click.echo(_LATER.format(places.state_dir))
    if not answer["ended"]:
        click.echo("Nothing was paused.")
    for name in answer["ended"]:
        click.echo(f"Open again: {'every store' if name == 'all' else plain(name)}")
    for entry in answer["paused"]:
        click.echo(f"Still {_line(entry).lower() if entry['store'] is None else _line(entry)}")
    return 0


def _settings(context: click.Context, config: Path | None) -> tuple[AgentSettings, Locations]:
    from agent.settings import load_agent_settings

    return load_agent_settings(config_file(context, config), dict(os.environ), {}, is_root=os.geteuid() == 0)


def _ask_or_none(
    settings: AgentSettings, places: Locations, command: str, arguments: dict[str, Any]
) -> dict[str, Any] | None:
    """The running agent's answer; None where none runs."""
    from agent.cli.local_client import ask_agent, usual_places
    from agent.cli.status_codes import NotRunningError

    elsewhere = usual_places(os.environ, os.geteuid()) if settings.runtime_dir is None else ()
    try:
        return ask_agent(places.runtime_dir, command, elsewhere=elsewhere, by=_who(), **arguments)
    except NotRunningError:
        return None


def _pause_in_file(settings: AgentSettings, places: Locations, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from agent.opening import read_openings
    from agent.pause_switch import named_stores, new_pause, shown_pauses

    made = new_pause(time.time(), arguments["for_s"], arguments["reason"])
    # Of an address that can be read in several ways, every reading.
    known = tuple(str(store) for opening in read_openings(settings.stores) for store in opening.candidates)
    names = named_stores(arguments["stores"], known)
    with _alone(places.state_dir) as file:
        pauses = file.read_or_close()[0].add(made, names)
        file.write(pauses)
    return shown_pauses(pauses)


def _resume_in_file(places: Locations, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from agent.pause_switch import resumed_stores, shown_pauses

    with _alone(places.state_dir) as file:
        pauses, _ = file.read_or_close()
        names = resumed_stores(arguments["stores"], pauses)
        left = pauses.end(names)
        file.write(left)
    everything = ["all"] if pauses.everything is not None else []
    ended = everything + [name for name in pauses.stores if names is None or name in names]
    return {**shown_pauses(left), "ended": ended}


@contextlib.contextmanager
def _alone(state_dir: Path) -> Iterator[PauseFile]:
    """The pause file, while no agent can start; as the owner of the directory, who is the one that will read it."""
    from agent.errors import StartError
    from agent.instance import LOCK_NAME
    from agent.lock_file import LockHeldError, lock_directory
    from agent.pause_file import PauseFile

    with _as_owner(state_dir):
        try:
            lock = lock_directory(state_dir, LOCK_NAME)
        except LockHeldError as held:
            raise StartError(
                f"A prestashop-agent{held.who} uses {state_dir} and its socket is not where it is looked for: run this "
                "command with the same settings (--config), or stop the agent and run it again."
            ) from None
        except OSError as error:
            raise StartError(
                f"The state directory {state_dir} cannot be used ({error.strerror}): run this command as root (sudo) "
                "or as the user that runs prestashop-agent."
            ) from None
        try:
            yield PauseFile(state_dir)
        finally:
            os.close(lock)


@contextlib.contextmanager
def _as_owner(directory: Path) -> Iterator[None]:
    """Root becomes the owner of ``directory``: root's own file could not be read by the service, and a symbolic link
    which that user planted must lead root nowhere.
    """
    try:
        owner = directory.stat()
    except OSError:  # not there yet, or not for us: what is tried next says so
        owner = None
    if os.geteuid() or owner is None or not owner.st_uid:
        yield
        return
    group = os.getegid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def _who() -> str:
    """For the log: who called sudo, or the user's number."""
    return os.environ.get("SUDO_USER") or f"uid {os.getuid()}"


def _line(entry: Mapping[str, Any]) -> str:
    what = "Everything is paused" if entry["store"] is None else f"Paused: {plain(entry['store'])}"
    until = "prestashop-agent resume" if entry["until"] is None else shown_moment(entry["until"])
    reason = f" ({plain(entry['reason'])})" if entry["reason"] else ""
    return f"{what} since {shown_moment(entry['since'])}, until {until}{reason}"
