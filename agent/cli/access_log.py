"""``prestashop-agent access-log``: who was let through to which store, from the files on this machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from agent.cli.durations import read_duration, shown_round_trip
from agent.cli.options import config_file, config_option
from agent.cli.page import plain
from agent.errors import StartError

POLL_S = 0.5

_STYLES = {2: "green", 3: "cyan", 4: "yellow", 5: "red"}


def _since(context: click.Context, parameter: click.Parameter, text: str) -> float:
    duration = read_duration(text)
    if duration is not None:
        return time.time() - duration.total_seconds()
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise click.BadParameter("write 30m, 12h, 7d, or a time as 2026-11-26T10:00.", context, parameter) from None


@click.command(
    "access-log",
    epilog="""\b
Examples:
  sudo prestashop-agent access-log                     the last hour
  prestashop-agent access-log --since 7d --store https://shop.example.com --errors
  prestashop-agent access-log --follow
  prestashop-agent access-log --since 1d --json | jq .path

Reads the files of the access log, as the user that runs the agent or as root. They hold paths and the names of
parameters, never values.
""",
)
@config_option
@click.option("--since", callback=_since, default="1h", show_default=True, metavar="TIME", help="From when on.")
@click.option("--store", "stores", multiple=True, metavar="URL", help="This store only (several times for several).")
@click.option("--errors", is_flag=True, help="Only what did not end with an answer of the store below 400.")
@click.option("--follow", "-f", is_flag=True, help="Wait for more, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="The lines as they are, one JSON object each.")
@click.pass_context
def access_log(
    context: click.Context,
    config: Path | None,
    since: float,
    stores: tuple[str, ...],
    errors: bool,
    follow: bool,
    as_json: bool,
) -> int:
    """Show the requests that came for the stores, and how they ended."""
    from agent.access_reader import AccessReader
    from agent.settings import load_agent_settings
    from agent.source import access_log_dir
    from agent.store_name import is_meant, names_meant

    settings, places = load_agent_settings(
        config_file(context, config), dict(os.environ), {}, is_root=os.geteuid() == 0
    )
    directory = access_log_dir(settings, places)
    wanted = names_meant(stores)
    reader = AccessReader(directory, since)
    color = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal
    shown = 0
    for entry in _entries(reader, directory, follow=follow):
        if (wanted and not is_meant(str(entry["store"]), wanted)) or (errors and not _is_error(entry)):
            continue
        shown += 1
        click.echo(json.dumps(entry, ensure_ascii=False) if as_json else _line(entry), color=color)
    if not shown and not as_json:
        off = "" if settings.access_log.enabled else ", which is switched off (access_log.enabled)"
        click.echo(f"Nothing of that in the access log in {directory}{off}.", err=True)
    return 0


def _entries(reader: Any, directory: Path, *, follow: bool) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - imported late
    try:
        yield from reader.lines()
        while follow:
            time.sleep(POLL_S)
            yield from reader.lines()
    except OSError as error:
        raise StartError(
            f"The access log in {directory} cannot be read ({error.strerror}): run this command as root (sudo) or as "
            "the user that runs prestashop-agent."
        ) from None


def _is_error(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("error")) or not 0 < entry["status"] < 400


def _line(entry: Mapping[str, Any]) -> str:
    """``2026-11-26 10:00:03 200 GET      34 ms https://shop.example.com/ /api/products?display&limit``, local time."""
    status, ms = entry["status"], entry.get("ms")
    words = [
        _local(str(entry["time"])),
        click.style(f"{status or '-':>3}", fg=_STYLES.get(status // 100 if status else 5)),
        f"{plain(entry['method'], 8):<6}",
        f"{shown_round_trip(ms) if isinstance(ms, int | float) else '-':>9}",
    ]
    if entry.get("error"):
        words.append(click.style(plain(entry["error"]), fg="red"))
    names = "?" + plain("&".join(map(str, entry["parameters"]))) if entry["parameters"] else ""
    return " ".join([*words, plain(entry["store"]) or "(no store)", plain(entry["path"]) + names])


def _local(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return plain(text, 24)
