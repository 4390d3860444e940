"""What went wrong last, as lines for a person: failed exchanges, and ends of tunnels. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.cli.durations import shown_clock, shown_duration
from agent.cli.page import counted, plain

Report = Mapping[str, Any]


def last_errors(report: Report, *, now: float, at_most: int) -> list[tuple[str, str]]:
    """The youngest errors, the youngest first: when, and one line of text. ``now`` is Unix seconds."""
    failures = [(failure["at"], _failure(failure)) for failure in report.get("last_failures", ())]
    endings = [(ending["at"], _ending(ending)) for ending in report.get("last_endings", ())]
    youngest = sorted(failures + endings, key=lambda each: each[0], reverse=True)
    return [(shown_clock(at, now), text) for at, text in youngest[:at_most]]


def shown_status(exchange: Report) -> str:
    """``200``, or that there was none."""
    return str(exchange["status"]) if exchange["status"] else "cut"


def shown_ms(milliseconds: float) -> str:
    """``12 ms``, ``1.5 s``, ``2 min``."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else shown_duration(milliseconds / 1000)


def _failure(failure: Report) -> str:
    request_id = f", request {plain(failure['request_id'], 64)}" if failure["request_id"] else ""
    asked = f"{plain(failure['method'], 16)} {plain(failure['target'])}"
    return f"{plain(failure['error'])}: {asked} ({shown_status(failure)} after {shown_ms(failure['ms'])}{request_id})"


def _ending(ending: Report) -> str:
    times = f", {counted(ending['times'], 'time')} in a row" if ending["times"] > 1 else ""
    return f"tunnel {ending['tunnel']} ended: {plain(ending['reason'])}{times}"
