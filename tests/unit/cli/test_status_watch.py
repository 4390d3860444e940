"""`status --watch`: rates from counters, a view that fits, and an agent that goes away and comes back."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import Console

from agent.cli.durations import shown_bytes, shown_clock
from agent.cli.status_codes import NotRunningError, UnknownStateError
from agent.cli.status_page import status_page
from agent.cli.status_watch import can_be_live, watch_json, watch_pages
from agent.cli.watch_page import WatchPage
from agent.cli.watch_rates import Rates
from agent.errors import AgentError
from tests.unit.cli.test_status_pages import AGENT, DOWN, NOW, UP

URL = "https://shop.example.com/api/"
STORE: dict[str, Any] = {
    "url": URL,
    "store": "https://shop.example.com/",
    "methods": ["GET", "HEAD"],
    "idle": 1,
    "busy": 2,
    "in_flight": 2,
    "ended": 1204,
    "failed": 3,
    "bytes_to_store": 1000,
    "bytes_from_store": 9000,
}
EXCHANGE = {
    "at": NOW - 3,
    "request_id": "3f2a",
    "store": "https://shop.example.com/",
    "method": "GET",
    "target": "/api/products?display&filter[name]&" + "limit&" * 20,
    "status": 504,
    "error": "store_timeout",
    "ms": 120_000.0,
    "bytes_to_store": 300,
    "bytes_from_store": 0,
}
ENDING = {"at": NOW - 90_000, "first_at": NOW - 95_000, "times": 7, "tunnel": 1, "reason": "lost", "detail": "broke"}


def report(stores: int = 1, **changes: Any) -> dict[str, Any]:
    shops = [{**STORE, "store": f"https://shop{number}.example.com/"} for number in range(stores)]
    past = {"last_exchanges": [EXCHANGE] * 20, "last_failures": [EXCHANGE] * 20, "last_endings": [ENDING]}
    return {**AGENT, "tunnels": [UP, DOWN], "stores": shops, **past, **changes}


def counted(at: float, ended: int, *, pid: int = 1) -> dict[str, Any]:
    store = {**STORE, "ended": ended, "bytes_to_store": ended * 10, "bytes_from_store": ended * 100}
    return report(stores=0, pid=pid, uptime_s=at, exchanges={"ended": ended}) | {"stores": [store]}


def drawn(page: WatchPage, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(page, height=height)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def stopped_after(times: int) -> Callable[[float], None]:
    left = iter(range(times))

    def sleep(_seconds: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return sleep


def test_rates_are_over_a_window_and_begin_anew_with_another_process() -> None:
    rates = Rates(window_s=5)
    assert rates.of() is None
    for second in range(20):
        rates.take(counted(100.0 + second, 50 * second))
    of_all, of_store = rates.of(), rates.of(STORE["store"])
    assert of_all == of_store
    assert of_all is not None
    assert (of_all.requests, of_all.bytes_to_store, of_all.bytes_from_store) == (50, 500, 5000)
    for second in range(20, 27):  # nothing happens any more
        rates.take(counted(100.0 + second, 950))
    rate = rates.of()
    assert rate is not None
    assert rate.requests == 0
    rates.take(counted(1.0, 7, pid=2))
    assert rates.of() is None
    rates.take(counted(2.0, 17, pid=2))
    rate = rates.of()
    assert rate is not None
    assert rate.requests == 10


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 20)])
@pytest.mark.parametrize("stores", [0, 1, 200])
def test_the_view_fits_and_has_everything(width: int, height: int, stores: int) -> None:
    lines = drawn(WatchPage(report(stores), Rates(), now=NOW), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    page = "\n".join(lines)
    for words in (
        "is ready",
        "Tunnel",
        "turned away 1 min",
        "token_refused",
        "GET",
        "504",
        "store_timeout",
    ):
        assert words in page
    assert width < 80 or "again in 41 s" in page
    assert ("and 1" in page) == (stores == 200)
    assert ("none is open" in page) == (stores == 0)


def test_the_view_waits_for_an_agent() -> None:
    page = "\n".join(drawn(WatchPage(None, Rates(), now=NOW, trouble=("is not running", "Nobody.")), 80, 24))
    assert "prestashop-agent is not running" in page
    assert "Nobody." in page


def test_no_escape_of_a_peer_reaches_the_terminal() -> None:
    evil = {**EXCHANGE, "target": "/\x1b[2J", "method": "\x1b", "error": "\x9b", "request_id": "[red]\x07"}
    hostile = report(last_exchanges=[evil], last_failures=[evil])
    shown = "\n".join(drawn(WatchPage(hostile, Rates(), now=NOW), 120, 40)) + "\n".join(
        status_page(hostile, width=120, now=NOW)
    )
    assert not {"\x1b", "\x9b", "\x07"} & set(re.sub(r"\x1b\[[0-9;]*m", "", shown))  # click's own colors
    assert "[red]" in shown


def test_the_plain_page_has_the_last_errors() -> None:
    lines = list(status_page(report(2), width=80, now=NOW))
    page = " ".join(" ".join(lines).split())
    assert "store_timeout: GET /api/products?display&filter[name]&limit" in page
    assert "(504 after 2 min, request 3f2a)" in page
    assert page.count("2 in flight, 1204 ended since the start, 3 of them failed") == 3  # all, and each of two stores
    quiet = report(last_failures=[], last_exchanges=[])
    assert f"{shown_clock(NOW - 90_000, NOW)} tunnel 1 ended: lost, 7 times in a row" in " ".join(
        " ".join(status_page(quiet, width=80, now=NOW)).split()
    )


def test_json_lines_go_on_through_a_restart(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Iterator[dict[str, Any] | AgentError] = iter(
        [{"state": "ready"}, NotRunningError("nobody"), UnknownStateError("mute"), {"state": "ready"}]
    )

    def ask() -> dict[str, Any]:
        answer = next(answers)
        if isinstance(answer, AgentError):
            raise answer
        return answer

    watch_json(ask, 1.0, stopped_after(3))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["state"] for line in lines] == ["ready", "not_running", "unknown", "ready"]
    assert lines[1]["error"] == "nobody"


def test_pages_have_no_escape_codes(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Iterator[dict[str, Any] | AgentError] = iter([report(), NotRunningError("Nobody answers.")])

    def ask() -> dict[str, Any]:
        answer = next(answers)
        if isinstance(answer, AgentError):
            raise answer
        return answer

    watch_pages(ask, 1.0, 80, stopped_after(1))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count("-- 2") == 2
    assert "is not running: waiting for it\nNobody answers." in shown


def test_live_only_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert can_be_live(Terminal(), "xterm-256color")
    assert not can_be_live(Terminal(), "dumb")
    assert not can_be_live(Terminal(), "")
    assert not can_be_live(io.StringIO(), "xterm-256color")


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (999.7, "1.0 kB"), (4100, "4.1 kB"), (103_000_000, "103 MB"), (5e12, "5000 GB")],
)
def test_sizes(count: float, shown: str) -> None:
    assert shown_bytes(count) == shown
