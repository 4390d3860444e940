"""The pages of both status commands: everything a person needs, in 80 columns, and nothing a peer can forge."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from agent.cli.durations import shown_duration, shown_moment, shown_round_trip
from agent.cli.status_page import status_page as agent_page
from agent.server.cli.status_page import status_page as server_page
from agent.tunnel.ending import EndReason

NOW = 1_800_000_000.0

UP: dict[str, Any] = {
    "index": 0,
    "state": "ready",
    "server": "agents.integration.example.com:2222",
    "server_version": "1.2.3",
    "since_s": 8000.4,
    "attempts": 3,
    "round_trip_ms": 12.345,
    "last_heartbeat_age_s": 4.2,
    "open_channels": 1,
    "down_s": None,
    "last_ending": {"reason": "lost", "detail": "The connection to agents.integration.example.com:2222 broke: reset."},
    "last_ending_age_s": 250.5,
    "next_attempt_in_s": None,
    "proxy": None,
}
DOWN = {
    **UP,
    "index": 1,
    "state": "slow",
    "server_version": "",
    "since_s": 61,
    "attempts": 9,
    "round_trip_ms": None,
    "last_heartbeat_age_s": None,
    "open_channels": 0,
    "down_s": 7300.2,
    "last_ending": {"reason": "token_refused", "detail": "The server refuses the access token: make a new one there."},
    "last_ending_age_s": 61,
    "next_attempt_in_s": 41.2,
}
AGENT: dict[str, Any] = {
    "version": "1.2.3",
    "pid": 4242,
    "instance_id": "80914c66-ce03-4233-a13b-dd05675d51d6",
    "agent_id": "3940d8cc-bfea-4e0f-9046-490fffe9261b",
    "uptime_s": 90061,
    "state": "ready",
    "exchanges": {"in_flight": 2, "ended": 1204, "failed": 3},
    "sessions": 3,
    "store_connections": {"idle": 1, "busy": 2},
    "tunnels": [UP, DOWN],
    "stores": [
        {"url": "https://shop.example.com/api/", "methods": ["GET", "HEAD"], "idle": 1, "busy": 2},
        {"url": "http://10.0.0.5:8080/other/api/", "methods": ["GET"], "idle": 0, "busy": 0},
    ],
    "process": {"tasks": 9, "open_files": 17, "threads": 6, "resident_bytes": 67362816},
}
TUNNEL: dict[str, Any] = {
    "agent_id": "3940d8cc-bfea-4e0f-9046-490fffe9261b",
    "agent_name": "warehouse in Lyon, second floor",
    "instance_id": "80914c66-ce03-4233-a13b-dd05675d51d6",
    "index": 0,
    "plain": False,
    "host": "stockroom-7.internal.example.com",
    "version": "1.2.2",
    "peer": "[2001:db8:1:2:3:4:5:6]:47592",
    "connected_s": 7200,
    "last_heartbeat_age_s": 7.7,
    "round_trip_ms": 103.4,
    "draining": False,
    "in_flight": 1,
    "channels": {"idle": 2, "busy": 1},
    "stores": ["https://shop.example.com/"],
}
SERVER: dict[str, Any] = {
    "running": True,
    "version": "1.2.3",
    "pid": 4243,
    "uptime_s": 59.9,
    "state": "ready",
    "draining": False,
    "listeners": {
        "ssh": {"host": "::", "port": 2222},
        "gateway": {"host": "0.0.0.0", "port": 8080},
        "gateway_url": "https://gateway.integration.example.com",
        "admin_socket": "/run/integration-server/admin.sock",
    },
    "host_key_fingerprint": "SHA256:0e+rApNKC72pkxYwVhAmGhCKUEhcawdCWJS1elvC144",
    "agents_registered": 3,
    "agents_online": 2,
    "gateway": {"clients": 1, "in_flight": 1, "parked": 0},
    "traffic": {"requests": 3, "errors": 1, "tunnel_ms": 12.5, "store_ms": 31.0},
    "tunnels": [
        TUNNEL,
        {**TUNNEL, "index": 1, "draining": True},
        {**TUNNEL, "agent_id": "p", "agent_name": "by hand", "instance_id": "plain-ssh", "plain": True, "host": ""},
    ],
}
PAGES = [(agent_page, AGENT), (server_page, SERVER)]

Page = Callable[..., Iterator[str]]


def lines(page: Page, report: Mapping[str, Any], width: int = 80) -> list[str]:
    return [click.unstyle(line) for line in page(report, width=width, now=NOW)]


def text(page: Page, report: Mapping[str, Any]) -> str:
    """All on one line, so that it does not matter where lines break."""
    return " ".join(" ".join(lines(page, report)).split())


@pytest.mark.parametrize(("page", "report"), PAGES)
@pytest.mark.parametrize("width", [64, 80, 120])
def test_no_line_is_wider_than_the_terminal(page: Page, report: Mapping[str, Any], width: int) -> None:
    shown = lines(page, report, width)
    assert max(map(len, shown)) <= width
    assert all(line == line.rstrip() for line in shown)
    assert len(shown) < 40


def test_the_agents_page_says_what_is_up_and_why_something_is_not() -> None:
    shown = text(agent_page, AGENT)
    for part in (
        "prestashop-agent 1.2.3 is ready",
        "4242, running since ",
        "(1 d 1 h)",
        "2 in flight, 1204 ended since the start, 3 of them failed",
        "Tunnel 0 ready for 2 h 13 min server agents.integration.example.com:2222 (version 1.2.3)",
        "round trip 12 ms, last heartbeat 4 s ago, 1 channel open",
        "before that: lost, 4 min ago",
        "Tunnel 1 turned away for 1 min, next attempt in 41 s",
        "attempt 9 ended, token_refused: The server refuses the access token: make a new one there.",
        "https://shop.example.com/api/ GET HEAD; 1 connection idle, 2 busy",
        "http://10.0.0.5:8080/other/api/ GET; no connection open",
    ):
        assert part in shown, part
    assert "broke" not in shown  # no advice about what is mended


def agent_with(*tunnels: Mapping[str, Any], state: str = "ready") -> dict[str, Any]:
    return {**AGENT, "state": state, "tunnels": list(tunnels)}


@pytest.mark.parametrize(("age_s", "is_shown"), [(0, True), (3599, True), (3601, False), (None, False)])
def test_the_ending_before_is_forgotten_after_an_hour(age_s: float | None, is_shown: bool) -> None:
    assert ("before that" in text(agent_page, agent_with({**UP, "last_ending_age_s": age_s}))) is is_shown


def test_what_waits_is_down_since_it_was_up() -> None:
    waiting = {**DOWN, "state": "waiting", "since_s": 1, "next_attempt_in_s": 2.6}
    assert "Tunnel 1 down for 2 h 1 min, next attempt in 3 s" in text(agent_page, agent_with(waiting))


def test_an_agent_that_is_turned_away_says_why_once() -> None:
    shown = text(agent_page, agent_with({**DOWN, "index": 0}, DOWN, state="refused"))
    assert "prestashop-agent 1.2.3 is turned away: see below" in shown
    assert shown.count("make a new one there") == 1
    assert shown.count("attempt 9 ended, token_refused: the same as tunnel 0") == 1
    other = {**DOWN, "index": 2, "last_ending": {"reason": "lost", "detail": "It broke."}}
    assert "attempt 9 ended, lost: It broke." in text(agent_page, agent_with(DOWN, other))


def test_the_tunnels_of_a_leaving_agent_serve_on() -> None:
    shown = text(agent_page, agent_with(UP, {**UP, "index": 1, "state": "draining", "since_s": 3}, state="draining"))
    assert "Tunnel 0 serves on until what runs has ended server" in shown
    assert "Tunnel 1 draining for 3 s" in shown
    assert "ready" not in shown


def test_the_proxy_is_shown() -> None:
    shown = text(agent_page, agent_with({**DOWN, "proxy": "http://proxy:3128 (proxy.url)"}))
    assert "server agents.integration.example.com:2222 by http://proxy:3128 (proxy.url) attempt" in shown


def test_an_agent_of_the_version_before_is_shown_too() -> None:
    new = {"down_s", "last_ending_age_s", "proxy"}
    old = [{name: value for name, value in tunnel.items() if name not in new} for tunnel in (UP, DOWN)]
    shown = text(agent_page, agent_with(*old))
    assert "before that" not in shown
    assert "make a new one there" in shown


def test_every_reason_of_an_ending_is_explained() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/status.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| `(\w+)`( \*)? \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
    assert {found[1]: found[2] is not None for found in row.finditer(page)} == {
        reason.value: reason.needs_a_person for reason in EndReason
    }


def test_the_agents_page_without_anything() -> None:
    empty = {**AGENT, "tunnels": [], "stores": [], "exchanges": {"in_flight": 0, "ended": 0, "failed": 0}}
    assert "none is open; to open one: prestashop-agent stores add URL" in text(agent_page, empty)
    assert "none is open" not in text(agent_page, {**empty, "state": "starting"})
    fresh = {**UP, "round_trip_ms": None, "last_heartbeat_age_s": None, "last_ending": None}
    shown = text(agent_page, {**empty, "tunnels": [fresh]})
    assert "round trip not measured yet, no heartbeat yet, 1 channel open" in shown


def test_the_servers_page_groups_tunnels_by_instance() -> None:
    shown = text(server_page, SERVER)
    for part in (
        "integration-server 1.2.3 is ready",
        "3 requests, 1 error, median tunnel 12.5 ms, store 31 ms",
        "[::]:2222, host key SHA256:0e+",
        "0.0.0.0:8080, https://gateway.integration.example.com",
        "1 client connected, 1 exchange in flight, 0 waiting for a tunnel",
        "2 of 3 online, 3 tunnels up",
        "second floor id 3940d8cc-bfea-4e0f-9046-490fffe9261b instance 80914c66-ce03-4233-a13b-dd05675d51d6 on",
        "on stockroom-7.internal.example.com, version 1.2.2 tunnel 0",
        "tunnel 0 ready for 2 h, from [2001:db8:1:2:3:4:5:6]:47592",
        "round trip 103 ms, last heartbeat 7 s ago, channels 2 idle, 1 busy",
        "tunnel 1 draining for 2 h",
        "by hand id p stock ssh client, version 1.2.2 tunnel 0",
    ):
        assert part in shown, part
    assert shown.count("warehouse in Lyon") == 1
    assert "is running, but no agent is connected" in text(server_page, {**SERVER, "state": "offline"})
    assert "agents create NAME" in text(server_page, {**SERVER, "agents_registered": 0, "tunnels": []})


def test_what_a_peer_says_cannot_move_the_cursor() -> None:
    evil = "\x1b[2J\u202e\nready"
    agent = {**AGENT, "tunnels": [{**UP, "server_version": evil, "last_ending": {"reason": evil, "detail": evil}}]}
    server = {**SERVER, "tunnels": [{**TUNNEL, "host": evil, "version": evil, "peer": evil, "agent_name": evil}]}
    offline = [{"name": evil, "last_heartbeat_at": "2027-01-15T05:46:40+00:00", "host": evil}]
    away = {**SERVER, "tunnels": [], "offline_agents": offline}
    for page, report in ((agent_page, agent), (server_page, server), (server_page, away)):
        shown = "\n".join(page(report, width=80, now=NOW))
        assert "\x1b[2J" not in shown
        assert "\u202e" not in shown
        assert "\\x1b[2J" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (8000, "2 h 13 min"),
     (86399, "23 h 59 min"), (86400, "1 d"), (90061, "1 d 1 h")],
)  # fmt: skip
def test_times_have_two_units_at_most(seconds: float, shown: str) -> None:
    assert shown_duration(seconds) == shown


def test_a_moment_has_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with monkeypatch.context() as changed:
            changed.setenv("TZ", "XYZ-5:30")
            time.tzset()
            assert shown_moment(NOW) == "2027-01-15 13:30 +0530"
    finally:
        time.tzset()


def test_a_round_trip_has_as_many_digits_as_it_needs() -> None:
    found = [shown_round_trip(milliseconds) for milliseconds in (0.04, 0.84, 9.96, 103.4, None)]
    assert found == ["0.0 ms", "0.8 ms", "10.0 ms", "103 ms", "not measured yet"]


def test_a_paused_store_and_one_over_its_limit_are_said() -> None:
    first, second = AGENT["stores"]
    paused = {**first, "paused": {"since": NOW - 60, "until": None, "reason": ""}}
    limited = {**second, "paused": None, "max_requests_per_minute": 60, "limited": 17}
    shown = text(agent_page, {**AGENT, "stores": [paused, limited]})
    assert f"paused since {shown_moment(NOW - 60)}: prestashop-agent resume ends it" in shown
    assert "over 60 a minute: 17 requests since the start" in shown
    assert "paused" not in text(agent_page, AGENT)
