"""What is told to Prometheus of a server whose parts are real and have no sockets, and when it is ready."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import asyncssh
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, text
from sqlalchemy.exc import OperationalError

from agent.loop_lag import LoopLag, put_loop_first
from agent.server.api.in_process import call_in_process
from agent.server.cloud import CloudForwarder
from agent.server.db.failures_counted import FailuresCounted
from agent.server.db.watch_tables import CONNECTION_TESTS
from agent.server.exchange_counts import BOUNDS_S, ExchangeCounts
from agent.server.gateway import Gateway
from agent.server.gateway_context import Phase
from agent.server.metrics.application import readiness, watch_routes
from agent.server.metrics.collector import Monitored
from agent.server.metrics.families import FAMILIES, STANDARD
from agent.server.metrics.tunnel_counts import TunnelCounts
from agent.server.registry import Registry
from agent.server.sshd import SshEndpoint
from agent.tunnel.messages import Goodbye
from tests.kit.control_plane import ControlApi, control_api
from tests.unit.server.test_traffic import record, refused
from tests.unit.tunnel.test_registry import make

WRITE = {"method": "POST", "error": "tunnel_lost", "status": 502, "answered_by": "gateway"}


@dataclass
class Scraped:
    """A server that is scraped."""

    api: ControlApi
    parts: Monitored

    async def ask(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        status, content = await call_in_process(self.api.app, "GET", path, {"accept": accept}, b"")
        return status, content.decode()

    async def values(self) -> dict[tuple[str, ...], float]:
        """Every sample by name and values of its labels."""
        _, page = await self.ask("/metrics")
        families = text_string_to_metric_families(page)
        return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


@pytest.fixture
async def scraped(tmp_path: Path) -> AsyncIterator[Scraped]:
    registry, tunnels = Registry(), TunnelCounts()
    registry.subscribe(tunnels.note)
    async with control_api(tmp_path, registry=registry) as api:
        plane, counts = api.plane, ExchangeCounts()
        gateway = Gateway(plane.live.routing, registry, lambda context: CloudForwarder(context.spawn))
        endpoint = SshEndpoint(asyncssh.generate_private_key("ssh-ed25519"), plane.live.authenticate, registry)
        ends = {"gateway": 4_000_000_000.0}
        parts = Monitored(
            plane,
            registry,
            gateway,
            endpoint,
            counts,
            tunnels,
            FailuresCounted(plane.engine),
            LoopLag(),
            tmp_path,
            ends,
        )
        api.app.router.routes.extend(watch_routes(parts))
        yield Scraped(api, parts)
        await gateway.close()


async def test_both_formats_hold_every_family_of_the_table_once_and_no_other(scraped: Scraped) -> None:
    for accept, parse in (
        ("text/plain", text_string_to_metric_families),
        ("application/openmetrics-text", openmetrics_families),
    ):
        _, page = await scraped.ask("/metrics", accept)
        families = list(parse(page))
        names = [f"{each.name}_total" if each.type == "counter" else each.name for each in families]
        assert sorted(names) == sorted([*FAMILIES, *STANDARD])
        documented = {each.name.removesuffix("_total"): each.documentation for each in families}
        assert all(documented[family.name] == family.help for family in FAMILIES.values())


async def test_exchanges_are_counted_and_deleted_connections_vanish(scraped: Scraped) -> None:
    await scraped.api.connection("Lyon")
    counts = scraped.parts.exchanges
    counts.note(record())
    counts.note(record(**WRITE, elapsed_s=200.0, first_byte_s=None))
    counts.note(record(**WRITE, waited_s=None))  # never sent
    counts.note(record(**(WRITE | {"method": "GET"})))
    counts.note(record(connection="gone", bytes_up=1))
    counts.note(refused())
    found = await scraped.values()
    name = "integration_server_requests_total"
    assert found[name, "store", "", "2xx"] == 2
    assert found[name, "gateway", "tunnel_lost", "5xx"] == 3
    assert found[name, "gateway", "client_key_invalid", "4xx"] == 1
    assert found["integration_server_writes_outcome_unknown_total",] == 1
    requests, octets = "integration_server_connection_requests_total", "integration_server_connection_bytes_total"
    assert (found[requests, "lyon", "good"], found[requests, "lyon", "failed"]) == (1, 3)
    assert (found[octets, "lyon", "up"], found[octets, "lyon", "down"]) == (40, 80)
    assert not [key for key in found if "gone" in key]
    assert found["integration_server_request_bytes_total",] == 51
    duration = "integration_server_request_duration_seconds"
    assert found[f"{duration}_count",] == 5, "what was refused at once took no time"
    assert found[f"{duration}_bucket", "0.1"] == 4
    assert found[f"{duration}_bucket", str(BOUNDS_S[-1])] == 4
    assert found[f"{duration}_bucket", "+Inf"] == 5


async def test_tunnels_are_counted_by_how_they_end(scraped: Scraped) -> None:
    registry = scraped.parts.registry
    first = make(registry)
    registry.add(first)
    registry.add(make(registry))  # takes its place
    leaving = make(registry, index=1)
    registry.add(leaving)
    registry.set_draining(leaving, "bye")
    registry.remove(leaving, "closed")
    lost = make(registry, index=2)
    lost.round_trip_s = 0.25
    lost.acceleration = SimpleNamespace(path=None, reason="", packets_sent=7, packets_received=5)  # type: ignore[assignment]  # its shape
    registry.add(lost)
    found = await scraped.values()
    assert found["integration_server_tunnels", "ready"] == 2
    assert found["integration_server_tunnel_round_trip_seconds", "name"] == 0.25
    fast = "integration_server_fast_path_packets_total"
    assert (found[fast, "sent"], found[fast, "received"]) == (7, 5)
    registry.remove(lost, "closed")
    registry.evict_agent("a", goodbye=Goodbye.REVOKED)
    found = await scraped.values()
    ended = {
        how: found["integration_server_tunnels_ended_total", how] for how in ("drained", "replaced", "evicted", "lost")
    }
    assert ended == {"drained": 1, "replaced": 1, "evicted": 1, "lost": 1}
    assert found["integration_server_tunnels_opened_total",] == 4
    assert (found[fast, "sent"], found[fast, "received"]) == (7, 5), "those of tunnels that are gone, too"
    assert found["integration_server_tunnel_drains_total",] == 1


async def test_an_enabled_agent_without_tunnels_has_a_zero(scraped: Scraped) -> None:
    await scraped.api.agent("warehouse")
    disabled = await scraped.api.agent("cellar")
    assert (await scraped.api.call("POST", f"agents/{disabled['agent']['id']}/disable"))[0] == 200
    found = await scraped.values()
    assert found["integration_server_agent_tunnels", "warehouse"] == 0
    assert ("integration_server_agent_tunnels", "cellar") not in found
    assert found["integration_server_agents", "registered"] == 2


async def test_the_newest_test_of_a_connection_is_told(scraped: Scraped) -> None:
    made = await scraped.api.connection("Lyon")
    async with scraped.api.plane.note() as connection:
        for ok, ends_at in ((True, 1.0), (False, 1_900_000_000.0)):
            row = {"connection_id": made["id"], "at": time.time(), "cause": "person", "ok": ok, "verdict": "x"}
            report = {"certificate_ends_at": ends_at}
            await connection.execute(insert(CONNECTION_TESTS).values(**row, elapsed_ms=1.0, report=report))
    found = await scraped.values()
    assert found["integration_server_connection_test_ok", "lyon"] == 0
    assert found["integration_server_store_certificate_end_timestamp_seconds", "lyon"] == 1_900_000_000.0
    assert found["integration_server_certificate_end_timestamp_seconds", "gateway"] == 4_000_000_000.0


async def test_a_database_that_fails_is_counted_and_what_only_it_knows_is_left_out(scraped: Scraped) -> None:
    async with scraped.api.plane.note() as connection:
        await connection.execute(text("DROP TABLE notice_deliveries"))
    with pytest.raises(OperationalError):
        async with scraped.api.plane.read() as connection:
            await connection.execute(text("SELECT * FROM notice_deliveries"))
    found = await scraped.values()
    assert found["integration_server_database_errors_total",] == 2
    assert found["integration_server_database_up",] == 0
    assert ("integration_server_notices_waiting",) not in found


async def test_ready_means_listening_with_a_database_and_not_leaving(scraped: Scraped) -> None:
    assert await scraped.ask("/livez") == (200, "ok\n")
    assert (await scraped.ask("/readyz"))[0] == 503, "nothing listens yet"
    await scraped.parts.gateway.start("127.0.0.1", 0)
    status, answer = await scraped.ask("/readyz")
    assert (status, json.loads(answer)["ready"]) == (200, True)
    scraped.parts.gateway.context.phase = Phase.LEAVING
    status, answer = await scraped.ask("/readyz")
    assert (status, json.loads(answer)["checks"]["draining"]) == (
        503, "this server was told to stop and finishes what runs"
    )  # fmt: skip


@pytest.mark.parametrize("wrong", ["listening", "usable", "leaving"])
def test_each_condition_alone_makes_it_not_ready(wrong: str) -> None:
    good = {"listening": True, "usable": True, "leaving": False}
    assert readiness(**good).ready
    found = readiness(**(good | {wrong: not good[wrong]}))
    assert not found.ready
    assert [told for told in found.checks.values() if told != "ok"]


def test_a_busy_thread_lets_the_loop_in_soon() -> None:
    usual_s = sys.getswitchinterval()
    try:
        put_loop_first()
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    finally:
        sys.setswitchinterval(usual_s)


async def test_the_lag_of_a_loop_that_was_blocked_is_told_for_a_while() -> None:
    lag = LoopLag(every_s=0.01, kept_s=0.1)
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - blocks the loop on purpose
    await asyncio.sleep(0.02)
    assert 0.08 < lag.worst_s < 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
