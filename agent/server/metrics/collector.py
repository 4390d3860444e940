"""Reads the numbers of the running server when it is scraped; nothing of it runs otherwise."""

from __future__ import annotations

import asyncio
import platform
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import agent
from agent.loop_lag import LoopLag
from agent.server.db.failures_counted import FailuresCounted
from agent.server.exchange_counts import ExchangeCounts
from agent.server.gateway import Gateway
from agent.server.metrics import families as f
from agent.server.metrics.stored import Stored
from agent.server.metrics.tunnel_counts import TunnelCounts
from agent.server.operations.control_plane import ControlPlane
from agent.server.registry import Registry
from agent.server.sshd import SshEndpoint


@dataclass(frozen=True, slots=True)
class Monitored:
    """The parts that know. ``certificates`` are the ends (unix time) of the listeners' own, by listener."""

    plane: ControlPlane
    registry: Registry
    gateway: Gateway
    endpoint: SshEndpoint
    exchanges: ExchangeCounts
    tunnels: TunnelCounts
    database: FailuresCounted
    lag: LoopLag
    data_dir: Path
    certificates: Mapping[str, float] = field(default_factory=dict)


class ServerCollector(Collector):
    """One scrape; ``stored`` was asked for before."""

    def __init__(self, parts: Monitored, stored: Stored) -> None:
        self._parts = parts
        self._stored = stored

    def collect(self) -> Iterator[Metric]:
        """Every family of the table, once; those that the database knows only while it answers."""
        yield from self._requests()
        yield from self._agents()
        yield from self._process()
        if self._stored.usable:
            yield from self._kept()

    def _requests(self) -> Iterator[Metric]:
        counts, context = self._parts.exchanges, self._parts.gateway.context
        counts.keep({route.slug for route in context.table.routes})
        by_class: Counter[tuple[str, str, str]] = Counter()
        for (who, digit, error), number in counts.requests.items():
            by_class[who, f"{digit}xx" if digit else "none", error] += number
        yield f.REQUESTS.by(by_class.items())
        yield f.DURATION.spread(counts.duration)
        yield f.FIRST_BYTE.spread(counts.first_byte)
        yield f.REQUEST_BYTES.of(counts.bytes_up)
        yield f.RESPONSE_BYTES.of(counts.bytes_down)
        yield f.UNKNOWN_WRITES.of(counts.unknown_writes)
        each = counts.connections.items()
        yield f.CONNECTION_REQUESTS.by(
            sample for slug, own in each for sample in (((slug, "good"), own.good), ((slug, "failed"), own.failed))
        )
        yield f.CONNECTION_BYTES.by(
            sample for slug, own in each for sample in (((slug, "up"), own.bytes_up), ((slug, "down"), own.bytes_down))
        )
        yield f.IN_FLIGHT.of(context.active)
        yield f.QUEUED.of(context.queued)
        yield f.PARKED.of(context.upstreams.parked_count)
        yield f.CLIENTS.of(self._parts.gateway.client_count)

    def _agents(self) -> Iterator[Metric]:
        parts = self._parts
        records = {record.agent_id: record for record in parts.plane.live.agents}
        tunnels = parts.registry.snapshot()
        states = Counter("draining" if each.draining else "ready" for each in tunnels)
        of_agent = Counter(each.agent_id for each in tunnels)
        slowest: dict[str, float] = {}
        for each in tunnels:
            if each.round_trip_s is not None:
                slowest[each.agent_name] = max(slowest.get(each.agent_name, 0.0), each.round_trip_s)
        cloud = parts.gateway.cloud.load()
        idle = sum(each.channels_idle for each in tunnels) + cloud.channels_idle
        busy = sum(each.channels_busy for each in tunnels) + cloud.channels_busy
        yield f.AGENTS.by([(("registered",), len(records)), (("online",), len(of_agent))])
        yield f.AGENT_TUNNELS.by(
            ((record.name,), of_agent[agent_id]) for agent_id, record in records.items() if record.enabled
        )
        yield f.TUNNELS.by(((state,), states[state]) for state in ("ready", "draining"))
        yield f.ROUND_TRIP.by(((name,), seconds) for name, seconds in slowest.items())
        yield f.CHANNELS.by([(("idle",), idle), (("busy",), busy)])
        yield f.TUNNELS_OPENED.of(parts.tunnels.opened)
        yield f.TUNNELS_ENDED.by(((how,), number) for how, number in parts.tunnels.ended.items())
        fast = Counter(parts.tunnels.fast_packets)
        for each in tunnels:
            fast.update(sent=each.fast_path_packets_sent, received=each.fast_path_packets_received)
        yield f.FAST_PACKETS.by(((direction,), number) for direction, number in fast.items())
        yield f.DRAINS.of(parts.tunnels.drains)
        yield f.SSH_LOGINS.by(((result,), number) for result, number in parts.endpoint.logins.items())
        door = parts.endpoint.door
        yield f.SSH_CONNECTIONS.by(
            [(("open",), parts.endpoint.connection_count), (("logging_in",), door.inside), (("waiting",), door.waiting)]
        )

    def _process(self) -> Iterator[Metric]:
        parts = self._parts
        yield f.PANEL_LOGINS.by(((result,), number) for result, number in parts.plane.throttle.outcomes.items())
        yield f.NOTICE_DELIVERIES.by(((result,), number) for result, number in parts.plane.deliveries.items())
        yield f.OWN_CERTIFICATE.by(((listener,), ends_at) for listener, ends_at in parts.certificates.items())
        yield f.DATABASE_UP.of(self._stored.usable)
        yield f.DATABASE_ERRORS.of(parts.database.count)
        yield f.LOOP_LAG.of(parts.lag.worst_s)
        yield f.TASKS.of(len(asyncio.all_tasks()))
        disk = shutil.disk_usage(parts.data_dir)
        yield f.DISK_FREE.of(disk.free)
        yield f.DISK_SIZE.of(disk.total)
        yield f.DRAINING.of(parts.gateway.context.leaving)
        yield f.BUILD.by([((agent.__version__, platform.python_version()), 1)])

    def _kept(self) -> Iterator[Metric]:
        stored = self._stored
        oldest_at = stored.oldest_waiting_at
        yield f.NOTICES_WAITING.of(stored.notices_waiting)
        yield f.NOTICE_OLDEST.of(max(time.time() - oldest_at, 0.0) if oldest_at is not None else 0.0)
        routes = self._parts.gateway.context.table.routes
        tested = [(route.slug, stored.tests[route.connection_id]) for route in routes
                  if route.enabled and route.connection_id in stored.tests]  # fmt: skip
        yield f.TEST_OK.by(((slug,), test.ok) for slug, test in tested)
        yield f.STORE_CERTIFICATE.by(
            ((slug,), test.certificate_ends_at) for slug, test in tested if test.certificate_ends_at is not None
        )
