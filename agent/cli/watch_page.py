"""The live view of ``prestashop-agent status --watch``: from a report to what rich draws, for any size of terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from agent.cli.durations import shown_bytes, shown_clock, shown_duration, shown_round_trip
from agent.cli.page import plain
from agent.cli.status_errors import last_errors, shown_ms, shown_status
from agent.cli.status_page import HEADLINES, WORDS
from agent.cli.watch_rates import Rate, Rates

Report = Mapping[str, Any]

_STYLES: Final = {
    "ready": "green",
    "draining": "yellow",
    "waiting": "yellow",
    "connecting": "yellow",
    "slow": "red",
    "refused": "red",
}
_NARROW: Final = 76
_WIDE: Final = 100
_FIXED_ROWS: Final = 10  # headline, rates, and the heads of four tables with the empty line above each


class WatchPage:
    """One moment, ``now`` in Unix seconds. While there is no ``report`` ``trouble`` says what is wrong, and why."""

    def __init__(self, report: Report | None, rates: Rates, *, now: float, trouble: tuple[str, str] = ("", "")) -> None:
        self._report = report
        self._rates = rates
        self._now = now
        self._trouble = trouble

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        if self._report is None:
            headline, reason = self._trouble
            yield _sides(Text(f"prestashop-agent {headline}", "bold yellow"), self._clock(), width)
            yield Text()
            yield Text(reason)
            yield Text()
            yield Text("This view goes on by itself when the agent answers. Ctrl-C leaves.", "dim")
            return
        report = self._report
        yield _sides(self._headline(report), self._clock(), width)
        yield _sides(self._traffic(report), Text("Ctrl-C leaves", "dim"), width)
        # Tunnels and stores come first; what is left is for exchanges and errors, which have at least two rows each.
        left = max(height - _FIXED_ROWS - len(report["tunnels"]), 5)
        stores = max(min(len(report["stores"]), left - 4), 1)
        errors = last_errors(report, now=self._now, at_most=max(2, (left - stores) // 2))
        exchanges = report.get("last_exchanges", ())[: max(2, left - stores - max(len(errors), 1))]
        yield from (Text(), self._tunnels(report["tunnels"], width))
        yield from (Text(), self._stores(report["stores"], stores, width))
        yield from (Text(), self._exchanges(exchanges))
        yield from (Text(), self._errors(errors))

    def _clock(self) -> Text:
        return Text(shown_clock(self._now, self._now), "dim")

    def _headline(self, report: Report) -> Text:
        state = plain(report["state"])
        line = Text(f"prestashop-agent {plain(report['version'])} is ")
        line.append(HEADLINES.get(state, state), f"bold {_STYLES.get(state, 'default')}")
        return line.append(f", up {shown_duration(report['uptime_s'])}")

    def _traffic(self, report: Report) -> Text:
        exchanges = report["exchanges"]
        line = Text(f"{_traffic(self._rates.of())}, ")
        line.append(f"{exchanges['in_flight']} in flight")
        return line.append(f", {exchanges['failed']} failed", "red") if exchanges["failed"] else line

    def _tunnels(self, tunnels: Sequence[Report], width: int) -> Table:
        shown = 3 if width >= _WIDE else 2 if width >= _NARROW else 0
        measured = ("Round trip", "Heartbeat", "Channels")[:shown]
        table = _table("Tunnel", "State", *measured, "Server")
        for tunnel in tunnels:
            state = plain(tunnel["state"])
            down_s = tunnel.get("down_s")
            since_s = tunnel["since_s"] if down_s is None or state != "waiting" else down_s
            is_up = state in {"ready", "draining"}
            table.add_row(
                str(tunnel["index"]),
                Text(f"{WORDS.get(state, state)} {shown_duration(since_s)}", _STYLES.get(state, "")),
                *_measured(tunnel, is_up=is_up)[:shown],
                Text(_where(tunnel, is_up=is_up, is_wide=width >= _WIDE)),
            )
        return table

    def _stores(self, stores: Sequence[Report], at_most: int, width: int) -> Table:
        moved = (">Up/s", ">Down/s") if width >= _NARROW else ()
        table = _table("Store", ">Requests/s", ">In flight", ">Idle", ">Failed", *moved, stretch=0)
        if len(stores) > at_most:
            at_most = max(at_most - 1, 1)  # one row says that there are more
        hidden = len(stores) - at_most
        busiest = (
            sorted(stores, key=lambda each: (each["in_flight"], each["ended"]), reverse=True) if hidden > 0 else stores
        )
        for store in busiest[:at_most]:
            rate = self._rates.of(store["store"])
            paused = Text(" paused", "yellow") if store.get("paused") else Text()
            table.add_row(
                Text(plain(store["store"] if width >= _WIDE else store["store"].partition("://")[2])) + paused,
                _requests(rate),
                str(store["in_flight"]),
                str(store["idle"]),
                Text(str(store["failed"]), "red" if store["failed"] else ""),
                *(_up_and_down(rate) if moved else ()),
            )
        if not stores:
            table.add_row(Text("none is open: add a [[stores]] table with the url of a shop", "yellow"))
        elif hidden > 0:
            table.add_row(Text(f"and {hidden} more", "dim"))
        return table

    def _exchanges(self, exchanges: Sequence[Report]) -> Table:
        table = _table("Exchanges", "", "", ">Status", ">Time", ">Size", stretch=2)
        for exchange in exchanges:
            table.add_row(
                Text(shown_clock(exchange["at"], self._now), "dim"),
                plain(exchange["method"], 16),
                Text(plain(exchange["target"])),
                Text(shown_status(exchange), "red" if exchange["error"] else ""),
                shown_ms(exchange["ms"]),
                shown_bytes(exchange["bytes_from_store"]),
            )
        if not exchanges:
            table.add_row(Text("none yet", "dim"))
        return table

    def _errors(self, errors: Sequence[tuple[str, str]]) -> Table:
        table = _table("Errors", "", stretch=1)
        for clock, text in errors:
            table.add_row(Text(clock, "dim"), Text(text))
        if not errors:
            table.add_row(Text("none", "green"))
        return table


def _table(*names: str, stretch: int = -1) -> Table:
    """Columns side by side over the whole width; that of ``stretch`` gives way; ``>`` before a name: to the right."""
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(names):
        gives_way = index == stretch % len(names)
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            ratio=1 if gives_way else None,
            overflow="ellipsis",
            no_wrap=True,
        )
    return table


def _measured(tunnel: Report, *, is_up: bool) -> tuple[str, str, str]:
    if not is_up:
        return "-", "-", "-"
    round_trip_ms, age_s = tunnel["round_trip_ms"], tunnel["last_heartbeat_age_s"]
    return (
        shown_round_trip(round_trip_ms) if round_trip_ms is not None else "-",
        f"{shown_duration(age_s)} ago" if age_s is not None else "-",
        str(tunnel["open_channels"]),
    )


def _where(tunnel: Report, *, is_up: bool, is_wide: bool) -> str:
    """The server; of a tunnel that is down first of all why."""
    next_s, ending = tunnel["next_attempt_in_s"], tunnel["last_ending"]
    again = f", again in {shown_duration(next_s + 0.5)}" if next_s is not None else ""
    if is_up or ending is None:
        by = f" by {plain(tunnel['proxy'])}" if tunnel.get("proxy") else ""
        return f"{plain(tunnel['server'])}{by}{again}"
    return f"{plain(ending['reason'])}{again}" + (f": {plain(ending['detail'])}" if is_wide else "")


def _sides(left: Text, right: Text, width: int) -> Text:
    """One line: ``right`` at its end, where there is room."""
    gap = width - left.cell_len - right.cell_len
    line = left + Text(" " * gap) + right if gap > 0 else left
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _requests(rate: Rate | None) -> str:
    if rate is None:
        return "-"
    return f"{rate.requests:.1f}" if rate.requests < 99.95 else f"{rate.requests:.0f}"


def _up_and_down(rate: Rate | None) -> tuple[str, str]:
    if rate is None:
        return "-", "-"
    return shown_bytes(rate.bytes_to_store), shown_bytes(rate.bytes_from_store)


def _traffic(rate: Rate | None) -> str:
    if rate is None:
        return "measuring rates"
    up, down = _up_and_down(rate)
    return f"{_requests(rate)} requests/s, {up}/s up, {down}/s down"
