"""The server's status page: tunnels in order, and agents that are offline with what to do about each."""

from __future__ import annotations

from typing import Any

from agent.cli.durations import shown_moment
from agent.server.cli.status_page import status_page as server_page
from tests.unit.cli.test_status_pages import NOW, SERVER, TUNNEL, lines, text


def test_the_servers_page_puts_tunnels_in_order() -> None:
    other = {**TUNNEL, "instance_id": "90914c66-ce03-4233-a13b-dd05675d51d6"}
    mixed = [{**other, "index": 1}, TUNNEL, {**other, "index": 0}, {**TUNNEL, "index": 1}]
    shown = [line.split() for line in lines(server_page, {**SERVER, "tunnels": mixed})]
    found = [words[1][:8] for words in shown if words[:1] in (["instance"], ["tunnel"])]
    assert found == ["80914c66", "0", "1", "90914c66", "0", "1"]


def test_the_servers_page_names_what_the_shop_has_paused() -> None:
    paused = {"https://shop.example.com/": {"since": NOW - 60, "until": NOW + 60, "reason": "stock\x1b[2Jtaking"}}
    shown = text(server_page, {**SERVER, "tunnels": [{**TUNNEL, "paused": paused}]})
    span = f"since {shown_moment(NOW - 60)}, until {shown_moment(NOW + 60)}"
    assert f"paused by the shop {span} (stock\\x1b[2Jtaking): https://shop.example.com/" in shown


def test_the_servers_page_names_agents_that_are_offline_and_what_to_do() -> None:
    gone = {"name": "Lyon", "last_heartbeat_at": "2027-01-15T05:46:40+00:00", "host": "rack-4"}
    by_hand = {**gone, "name": "by hand", "host": None}
    never = {"name": "Paris", "last_heartbeat_at": None, "host": None}
    shown = text(server_page, {**SERVER, "offline_agents": [gone, by_hand, never]})
    since = f"since {shown_moment(NOW - 8000)} (2 h 13 min):"
    assert f"Offline Lyon: {since} is prestashop-agent running on rack-4? by hand: {since}" in shown
    assert "by hand: " + since + " is prestashop-agent, or its ssh command, running there? Paris: never" in shown
    assert shown.endswith("Paris: never connected: install it with its access token")
    for count, end in ((20, "access token"), (23, "and 3 more: integration-server agents list")):
        page = lines(server_page, {**SERVER, "offline_agents": [never] * count})
        assert page[-1].endswith(end)
        assert sum("never connected" in line for line in page) == 20
    nobody: list[dict[str, Any]] = []
    for none in (nobody, None):
        assert "Offline" not in text(server_page, {**SERVER, "offline_agents": none})
