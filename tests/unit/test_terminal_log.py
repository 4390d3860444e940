"""The agent's log on a terminal of 80 columns: sentences, exchanges in columns, and nothing that could forge a line."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict

import agent
from agent.terminal_log import TerminalRenderer
from agent.terminal_words import _WORDS

TIME = "2026-11-26T02:00:09Z"
EXCHANGE = {
    "event": "exchange.done",
    "store": "https://shop.example.com/shop/",
    "method": "GET",
    "target": "/shop/api/products?limit&ws_key",
    "status": 200,
    "ms": 103.4,
    "bytes_to_store": 136,
    "bytes_from_store": 1200,
    "request_id": "r-1",
}
LOST = {
    "event": "tunnel.lost",
    "level": "warning",
    "index": 1,
    "reason": "lost",
    "detail": "The link broke.",
    "retry_in_s": 0.4,
}


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.terminal_log._clock", lambda time: time[11:19])


class Renderer:
    """Renders into lines; what has no words becomes its name in brackets."""

    def __init__(self, *, colour: bool = False) -> None:
        self._render = TerminalRenderer(StringIO(), lambda _l, _m, event: f"<{event['event']}>", colour)

    def __call__(self, *events: dict[str, Any]) -> list[str]:
        given: list[EventDict] = [{"level": "info", "time": TIME, **event} for event in events]
        return [line for event in given for line in self._render(None, "", event).split("\n")]


def test_an_exchange_is_one_line() -> None:
    write = {"method": "DELETE", "status": 404, "ms": 12_345.0, "bytes_from_store": 0, "target": "/shop/api/orders/7"}
    assert Renderer()(EXCHANGE, EXCHANGE | write) == [
        "02:00:09 GET    200   103 ms  1.2 kB  shop.example.com/shop/api/products?limit&",
        "                                      ws_key",
        "02:00:09 DELETE 404   12.3 s     0 B  shop.example.com/shop/api/orders/7",
        "                                      (sent 136 B)",
    ]


def test_an_exchange_that_failed_says_why_in_red() -> None:
    failed = {"event": "exchange.failed", "status": 0, "error": "client_gone", "store": "", "target": "/x"}
    assert Renderer()(EXCHANGE | failed) == [
        "02:00:09 GET    ---   103 ms  1.2 kB  /x",
        "                                      client_gone, request r-1",
    ]
    first, second = Renderer(colour=True)(EXCHANGE | failed)
    assert "\x1b[31m---\x1b[0m" in first
    assert second.strip() == "\x1b[31mclient_gone, request r-1\x1b[0m"


def test_the_first_block_says_where_to_and_what_is_open() -> None:
    starting = {
        "event": "agent.starting",
        "version": "1.0",
        "agent_id": "lyon",
        "servers": "tunnel.example.com:2222",
        "proxy": "none",
        "settings_file": "agent.toml",
    }
    opened = {"event": "store.open", "store": "https://shop/", "methods": "GET,HEAD", "resources": "orders,products"}
    assert Renderer()(starting, opened) == [
        "prestashop-agent 1.0 for lyon. Ctrl-C to stop; running requests end first.",
        "  Connects to  tunnel.example.com:2222",
        "  Settings     agent.toml",
        "  Open         https://shop/ for GET HEAD, orders, products",
    ]
    assert "  By proxy     http://proxy:3128" in Renderer()(starting | {"proxy": "http://proxy:3128"})


def test_what_is_true_of_two_tunnels_is_told_once() -> None:
    first, other = LOST, LOST | {"index": 0}
    assert Renderer()(first, other, other, LOST | {"detail": "Another.", "index": 1}) == [
        "02:00:09 Tunnel 1 is down (lost). The link broke. Next attempt in 0.4 s.",
        "02:00:09 Tunnel 0 is down (lost). The same as tunnel 1. Next attempt in 0.4 s.",
        "02:00:09 Tunnel 0 is down (lost). The link broke. Next attempt in 0.4 s.",
        "02:00:09 Tunnel 1 is down (lost). Another. Next attempt in 0.4 s.",
    ]


def test_a_number_keeps_its_unit_at_the_end_of_a_line() -> None:
    for length in range(40, 60):
        for line in Renderer()(LOST | {"detail": "x" * length + "."})[1:]:
            assert not line.strip().startswith("s.")


@pytest.mark.parametrize(
    ("running", "sentence"),
    [
        (2, "Waiting for 2 exchanges, 30 s at most; Ctrl-C again to leave at once."),
        (0, "Stopping."),
    ],
)
def test_ctrl_c_says_what_it_waits_for(running: int, sentence: str) -> None:
    assert Renderer()({"event": "agent.leaving", "in_flight": running, "at_most_s": 30.0}) == [f"\r02:00:09 {sentence}"]


def test_what_a_person_need_not_see_is_dropped() -> None:
    with pytest.raises(structlog.DropEvent):
        Renderer()({"event": "agent.draining", "in_flight": 0, "at_most_s": 30.0})


def test_events_without_words_fields_or_with_a_traceback_are_shown_as_ever() -> None:
    unknown, incomplete = {"event": "new.event"}, {"event": "tunnel.ready", "index": 1}
    broken = LOST | {"exc_info": ValueError()}
    assert Renderer()(unknown, incomplete, broken) == ["<new.event>", "<tunnel.ready>", "<tunnel.lost>"]


def test_no_text_of_the_other_side_can_forge_a_line() -> None:
    evil = "a\n02:00:10 GET\x1b[2J\u202e"
    shown = Renderer()(LOST | {"detail": evil}, EXCHANGE | {"target": evil, "method": evil, "error": evil})
    assert [line[:8] for line in shown if not line.startswith(" ")] == ["02:00:09", "02:00:09"]
    assert all(line.isprintable() for line in shown)


def test_every_event_that_has_words_is_one_of_the_program() -> None:
    files = [file for file in Path(agent.__file__).parent.rglob("*.py") if file.name != "terminal_words.py"]
    named = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', "".join(file.read_text() for file in files)))
    assert set(_WORDS) - named == set()
