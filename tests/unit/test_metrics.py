"""The metrics page: what a scraper reads, that every name is known, and whose words become labels."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from agent.exchange_tally import BOUNDS_S, ExchangeTally
from agent.metrics import AgentMetrics, metric_names
from agent.self_report import SelfReport
from agent.tunnel.proxy_dial import ProxyDial
from tests.unit.test_exchange_tally import DENIED, DONE, SHOP

TUNNEL = {
    "index": 0,
    "state": "ready",
    "attempts": 3,
    "open_channels": 2,
    "last_heartbeat_age_s": 4.5,
    "round_trip_ms": 12.0,
    "last_ending": {"reason": "lost", "detail": ""},
    "fast_path_packets_sent": 70,
    "fast_path_packets_received": 60,
}
REFUSED = {
    **TUNNEL,
    "index": 1,
    "state": "slow",
    "last_heartbeat_age_s": None,
    "round_trip_ms": None,
    "last_ending": {"reason": "wrong_host_key", "detail": "The server is another one."},
}
STORE = {"store": SHOP, "idle": 1, "busy": 2, "in_flight": 2, "limited": 7, "paused": {"since": 1.0}}
REPORT: dict[str, Any] = {
    "version": "1.2.3",
    "state": "ready",
    "loop_lag_ms": 2.0,
    "tunnels": [TUNNEL, REFUSED],
    "stores": [STORE],
}


class Told(SelfReport):
    """A report that says what the test wants."""

    def __init__(self, tally: ExchangeTally) -> None:
        super().__init__("instance", "agent", lambda: False, ProxyDial(None, 1.0))
        self.tally = tally

    def status(self, own_connections: int) -> dict[str, Any]:
        assert own_connections == 1
        return REPORT

    def endings(self) -> tuple[dict[str, int], ...]:
        return ({"lost": 2}, {"wrong_host_key": 9})


def scraped(accept: str = "") -> str:
    tally = ExchangeTally()
    for record in (DONE, DENIED, replace(DENIED, store="", method="EVIL\n")):
        tally.take(record)
    return AgentMetrics(Told(tally), lambda: 1).scrape(accept)[1].decode()


def values(page: str) -> dict[str, float]:
    """By name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items()) if sample.labels else ''}": sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_what_a_scrape_says() -> None:
    found = values(scraped())
    shop = ("store", SHOP)
    expected = {
        f"exchanges_total{[('method', 'GET'), ('status', '2xx'), shop]}": 1,
        f"exchanges_total{[('method', 'other'), ('status', '4xx'), ('store', '')]}": 1,
        f"exchange_errors_total{[('error', 'policy_denied'), shop]}": 1,
        f"exchange_duration_seconds_bucket{[('le', '0.01'), shop]}": 1,
        f"exchange_duration_seconds_bucket{[('le', '0.025'), shop]}": 2,
        f"exchange_duration_seconds_bucket{[('le', '+Inf'), shop]}": 2,
        f"exchange_duration_seconds_count{[shop]}": 2,
        f"exchange_duration_seconds_sum{[shop]}": 0.02,
        f"exchange_bytes_total{[('direction', 'from_store'), shop]}": 10000,
        f"exchanges_in_flight{[shop]}": 2,
        f"store_connections{[('state', 'busy'), shop]}": 2,
        f"store_paused{[shop]}": 1,
        f"store_limited_total{[shop]}": 7,
        f"tunnel_state{[('state', 'ready'), ('tunnel', '0')]}": 1,
        f"tunnel_state{[('state', 'ready'), ('tunnel', '1')]}": 0,
        f"tunnel_up{[('tunnel', '1')]}": 0,
        f"tunnel_needs_person{[('reason', 'wrong_host_key'), ('tunnel', '1')]}": 1,
        f"tunnel_endings_total{[('reason', 'lost'), ('tunnel', '0')]}": 2,
        f"tunnel_heartbeat_age_seconds{[('tunnel', '0')]}": 4.5,
        f"tunnel_round_trip_seconds{[('tunnel', '0')]}": 0.012,
        f"tunnel_attempts_total{[('tunnel', '0')]}": 3,
        f"tunnel_channels{[('tunnel', '0')]}": 2,
        f"tunnel_fast_path_packets_total{[('direction', 'sent'), ('tunnel', '0')]}": 70,
        f"tunnel_fast_path_packets_total{[('direction', 'received'), ('tunnel', '0')]}": 60,
        "event_loop_lag_seconds": 0.002,
        "ready": 1,
    }
    assert {name: found.get(f"prestashop_agent_{name}") for name in expected} == expected
    assert f"prestashop_agent_tunnel_round_trip_seconds{[('tunnel', '1')]}" not in found
    assert found["process_open_fds"] > 0


def test_every_name_is_told_and_every_told_name_is_there() -> None:
    page = scraped()
    there = {re.split(r"[{ ]", line)[0] for line in page.splitlines() if not line.startswith("#")}
    assert there == metric_names()


def test_the_docs_name_every_metric() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/metrics-agent.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|count|sum)\Z", "", name) for name in metric_names()}
    assert [name for name in sorted(families) if f"`{name}`" not in page] == []


def test_no_value_of_a_parameter_and_no_path() -> None:
    page = scraped()
    assert "SECRET" not in page
    assert "/api/x" not in page


def test_openmetrics_by_accept() -> None:
    page = scraped("application/openmetrics-text; version=1.0.0")
    assert page.endswith("# EOF\n")
    names = {family.name for family in openmetrics_families(page)}  # type: ignore[no-untyped-call]
    assert "prestashop_agent_exchange_duration_seconds" in names
    assert len(BOUNDS_S) == page.count("_bucket{") / 2 - 1  # two stores, and +Inf


@pytest.mark.parametrize("module", ["agent.daemon", "agent.cli.status"])
def test_nothing_heavy_before_it_is_wanted(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'prometheus_client', 'rich.live'}} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert ended.stdout.strip() == "[]"


def test_whoever_scrapes_without_a_pause_takes_a_tenth_of_the_time() -> None:
    """Any program of this machine may ask, and the pages of 512 stores take 0.1 s of the event loop."""
    clock = [100.0]

    class Slow(Told):
        made = 0

        def status(self, own_connections: int) -> dict[str, Any]:
            self.made += 1
            clock[0] += 0.1
            return super().status(own_connections)

    report = Slow(ExchangeTally())
    metrics = AgentMetrics(report, lambda: 1, clock=lambda: clock[0])
    first = metrics.scrape("")
    clock[0] += 0.89
    assert metrics.scrape("application/openmetrics-text") == first
    assert report.made == 1
    clock[0] += 0.02
    assert metrics.scrape("application/openmetrics-text")[0] != first[0]
    assert report.made == 2
