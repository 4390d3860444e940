"""The page that ``prestashop-agent status`` prints for a person. Pure: from the report's JSON to lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent.cli.durations import shown_duration, shown_moment, shown_round_trip
from agent.cli.page import colored, counted, entry, plain, shown_pause
from agent.cli.status_errors import last_errors

Report = Mapping[str, Any]

WORDS: Final = {
    "authenticating": "logging in",
    "waiting": "down",
    "slow": "turned away",
    "idle": "starting",
}
HEADLINES: Final = {"refused": "turned away: see below"}
_SERVES_ON: Final = "serves on until what runs has ended"
_ERRORS_SHOWN: Final = 5
_PAST_S: Final = 3600  # what was mended longer ago than that says nothing of today


def status_page(report: Report, *, width: int, now: float) -> Iterator[str]:
    """The lines for ``report``, each at most ``width`` wide where words allow; ``now`` is Unix seconds."""
    since = shown_moment(now - report["uptime_s"])
    state = plain(report["state"])
    word = HEADLINES.get(state, state)
    yield colored(f"prestashop-agent {plain(report['version'])} is {word}", word, state)
    running = f"{report['pid']}, running since {since} ({shown_duration(report['uptime_s'])})"
    yield from entry("Process", running, width)
    yield from entry("Agent", plain(report["agent_id"]), width)
    yield from entry("Instance", plain(report["instance_id"]), width)
    yield from entry("Exchanges", _exchanges(report["exchanges"]), width)
    told: dict[tuple[str, str], int] = {}
    for tunnel in report["tunnels"]:
        yield ""
        yield from _tunnel(tunnel, width, is_leaving=state == "draining")
        for text in _ending(tunnel, told):
            yield from entry("", text, width)
    yield ""
    if not report["stores"] and report["state"] != "starting":
        yield from entry("Stores", "none is open; to open one: prestashop-agent stores add URL", width)
    for store in report["stores"]:
        yield from entry("Store", plain(store["url"]), width)
        yield from entry("", f"{plain(' '.join(store['methods']))}; {_connections(store)}", width)
        yield from _held_back(store, width)
        if len(report["stores"]) > 1 and (store.get("ended") or store.get("in_flight")):
            yield from entry("", _exchanges(store), width)
    errors = last_errors(report, now=now, at_most=_ERRORS_SHOWN)
    if errors:
        yield ""
    for name, (clock, text) in zip(("Last errors", *[""] * len(errors)), errors, strict=False):
        yield from entry(name, f"{clock}  {text}", width)


def _exchanges(exchanges: Report) -> str:
    failed = f", {exchanges['failed']} of them failed" if exchanges["failed"] else ""
    return f"{exchanges['in_flight']} in flight, {exchanges['ended']} ended since the start{failed}"


def _tunnel(tunnel: Report, width: int, *, is_leaving: bool) -> Iterator[str]:
    state = plain(tunnel["state"])
    word = WORDS.get(state, state)
    down_s = tunnel.get("down_s") if state == "waiting" else None  # not since the last attempt: since it was up
    words = [f"{word} for {shown_duration(tunnel['since_s'] if down_s is None else down_s)}"]
    if is_leaving and state == "ready":
        state, word, words = "draining", _SERVES_ON, [_SERVES_ON]
    if tunnel["next_attempt_in_s"] is not None:
        words.append(f"next attempt in {shown_duration(tunnel['next_attempt_in_s'] + 0.5)}")
    first, *more = entry(f"Tunnel {tunnel['index']}", ", ".join(words), width)
    yield colored(first, word, state)
    yield from more
    version = f" (version {plain(tunnel['server_version'])})" if tunnel["server_version"] else ""
    proxy = f" by {plain(tunnel['proxy'])}" if tunnel.get("proxy") else ""
    yield from entry("", f"server {plain(tunnel['server'])}{version}{proxy}", width)
    if _is_up(tunnel):
        age_s = tunnel["last_heartbeat_age_s"]
        shown = [
            f"round trip {shown_round_trip(tunnel['round_trip_ms'])}",
            f"last heartbeat {shown_duration(age_s)} ago" if age_s is not None else "no heartbeat yet",
            f"{counted(tunnel['open_channels'], 'channel')} open",
        ]
        yield from entry("", ", ".join(shown), width)


def _ending(tunnel: Report, told: dict[tuple[str, str], int]) -> Iterator[str]:
    """How the one before ended; advice only while it is of use, and once: ``told`` is which tunnel gave it."""
    ending, age_s = tunnel["last_ending"], tunnel.get("last_ending_age_s")
    if ending is None:
        return
    reason = plain(ending["reason"])
    if _is_up(tunnel):
        if age_s is not None and age_s < _PAST_S:
            yield f"before that: {reason}, {shown_duration(age_s)} ago"
        return
    first = told.setdefault((ending["reason"], ending["detail"]), tunnel["index"])
    sentence = plain(ending["detail"], 1200) if first == tunnel["index"] else f"the same as tunnel {first}"
    yield f"attempt {tunnel['attempts']} ended, {reason}" + (f": {sentence}" if ending["detail"] else "")


def _is_up(tunnel: Report) -> bool:
    return tunnel["state"] in {"ready", "draining"}


def _held_back(store: Report, width: int) -> Iterator[str]:
    """A pause, which ends by a command, and a limit, when it was reached."""
    pause = store.get("paused")
    if pause is not None:
        first, *more = entry("", f"paused {shown_pause(pause)}: prestashop-agent resume ends it", width)
        yield colored(first, "paused", "paused")
        yield from more
    if store.get("limited"):
        times = counted(store["limited"], "request")
        yield from entry("", f"over {store['max_requests_per_minute']} a minute: {times} since the start", width)


def _connections(store: Report) -> str:
    if not store["idle"] and not store["busy"]:
        return "no connection open"
    return f"{counted(store['idle'], 'connection')} idle, {store['busy']} busy"
