"""An installation whose ways can be cut at an exact byte, one exchange after another, and what its clients get."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from agent.server.channel_limits import ChannelLimits
from agent.server.ssh_config import SshConfig
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.config import TunnelConfig
from agent.tunnel.token import AccessToken
from tests.kit.asked import PATIENCE_S, Asked, Outcome, Shape, ask, judge
from tests.kit.cluster import LOOPBACK, Cluster, Link, Mode, loopback_store
from tests.kit.counting_store import CountingStore, Framing
from tests.kit.cutting_relay import Cut, CuttingRelay, Direction, Kind
from tests.kit.until import until

SELDOM_S = 600.0  # heartbeats make bytes, too

Outcomes = dict[Direction, list[str]]


class _RelayedCluster(Cluster):
    """Its agents reach the SSH endpoint through ``door``."""

    door: CuttingRelay

    async def start_endpoint(self) -> None:
        await super().start_endpoint()
        self.door.target_port = self.ssh_port

    @property
    def token(self) -> AccessToken:
        token = super().token
        return AccessToken((f"{LOOPBACK}:{self.door.port}",), token.pins, token.agent_id, token.secret)


@dataclass
class CutSite:
    """``tunnel_way`` leads from the agent to the server, ``store_way`` from the forwarder to the store."""

    cluster: Cluster
    store: CountingStore
    tunnel_way: CuttingRelay
    store_way: CuttingRelay
    tunnels: int
    cuts: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _writes: set[str] = field(default_factory=set)

    async def ready(self) -> None:
        """Until all tunnels are up for both sides, and nothing runs."""
        cluster = self.cluster
        if cluster.mode == "tunnel":
            await cluster.wait_tunnels(self.tunnels)
            async with asyncio.timeout(PATIENCE_S):
                while not self._all_said():  # noqa: ASYNC110 - asyncssh has no event for it
                    await asyncio.sleep(0.001)
        if cluster.gateway.context.active:
            await until(lambda: not cluster.gateway.context.active)

    def _all_said(self) -> bool:
        """Has everything that belongs to the start of the tunnels arrived, so that only exchanges make bytes?"""
        cluster = self.cluster
        near = [keeper._link for keeper in cluster.running[0].supervisor._keepers]
        far: list[Any] = sorted(cluster.tunnels, key=lambda tunnel: tunnel.index)
        if len(far) != self.tunnels or None in near or any(tunnel.round_trip_s is None for tunnel in far):
            return False
        ends: list[tuple[Any, Any]] = [
            (link._conn, tunnel.link._conn) for link, tunnel in zip(near, far, strict=True) if link is not None
        ]
        return all(one._send_seq == other._recv_seq and other._send_seq == one._recv_seq for one, other in ends)

    async def ask(self, shape: Shape) -> tuple[Asked, Outcome]:
        """One request; the store sends the second half of its answer when the client has seen some of the first."""
        asked = Asked.new(shape, next(self._numbers))
        self.store.proceed.clear()
        try:
            return asked, await ask(self.cluster.port, asked, self.store.proceed.set)
        finally:
            self.store.proceed.set()

    async def measure(self, way: CuttingRelay, shape: Shape, *, warm: bool = False) -> dict[Direction, int]:
        """How many bytes one undisturbed exchange needs."""
        await self.prepare(way, warm=warm)
        way.count()
        asked, outcome = await self.ask(shape)
        assert self._judge(asked, outcome) == "200"
        if self.store.framing == "eof":  # the channel ends with the answer, and its end belongs to the exchange
            await self._quiet()
        return dict(way.passed)

    async def prepare(self, way: CuttingRelay, *, warm: bool) -> None:
        """Close what is kept of earlier exchanges on this way; ``warm``: use it once, so that something is kept."""
        await self.ready()
        for pool in self._pools(way):
            for idle in tuple(pool):
                idle.abort()
        if way is self.tunnel_way:
            before: list[Any] = []
            while before != [*self.cluster.tunnels]:  # a cut may be noticed late, and a new tunnel brings a channel
                before = [*self.cluster.tunnels]
                await self._quiet()
                await self.ready()  # the last words of what was closed have arrived, too
        if warm:
            asked, outcome = await self.ask("get")
            assert self._judge(asked, outcome) == "200"

    async def cut_everywhere(self, way: CuttingRelay, shape: Shape, kind: Kind, *, warm: bool = False) -> Outcomes:
        """Cut one exchange at each byte of both directions; which outcome after how many, each one judged."""
        found: Outcomes = {"up": [], "down": []}
        for direction, total in (await self.measure(way, shape, warm=warm)).items():
            for after_bytes in range(total + 1):
                await self.prepare(way, warm=warm)
                before = way.cuts
                way.arm(Cut(direction, after_bytes, kind))
                asked, outcome = await self.ask(shape)
                try:
                    found[direction].append(self._judge(asked, outcome))
                except AssertionError as error:
                    where = f"{shape} cut by {kind} after {after_bytes} of {total} bytes {direction}"
                    raise AssertionError(f"{where}: {error}") from None
                self.cuts += way.cuts - before
        way.count()
        await self.ready()
        writes = {nonce: count for nonce, count in self.store.executed.items() if nonce in self._writes}
        assert set(writes.values()) <= {1}, "a write was repeated after its client had been answered"
        return found

    async def _drop_early(self) -> bool:
        """A tunnel opens a channel ahead of need; each exchange here opens its own. True when there was one."""
        found = False
        for tunnel in self.cluster.tunnels:
            link: Any = tunnel.link
            early, link._early = link._early, None
            channel = await early._opening if early is not None else None
            if channel is not None:
                channel.abandon()
            found |= early is not None
        return found

    async def _quiet(self) -> None:
        """Until no channel is open. Closing one makes bytes, too: they are to pass before any are counted."""
        running = self.cluster.running
        async with asyncio.timeout(PATIENCE_S):
            while await self._drop_early() or any(agent.context.sessions for agent in running):  # noqa: ASYNC110 - asyncssh has no event for it
                await asyncio.sleep(0.001)

    def _judge(self, asked: Asked, outcome: Outcome) -> str:
        if not asked.is_read:
            self._writes.add(asked.nonce)
        return judge(asked, outcome, self.store.executed[asked.nonce], self.store.framing)

    def _pools(self, way: CuttingRelay) -> list[list[Any]]:
        cluster = self.cluster
        if way is self.tunnel_way:
            return [tunnel.channels._idle for tunnel in cluster.tunnels]
        tables = [agent.context.table for agent in cluster.running]
        if cluster.mode == "cloud":
            tables = [context.table for _, _, context in cluster.gateway._cloud._routes.values()]
        return [target.pool._idle for table in tables for target in table.targets]


@contextlib.asynccontextmanager
async def cut_site(
    framing: Framing, *, mode: Mode = "tunnel", tunnels: int = 1, by_halves: bool = False
) -> AsyncIterator[CutSite]:
    """Agent, server and store with a relay on each of the two ways; nothing but exchanges makes bytes.

    Nothing that happens to it may be logged as an error: cuts are weather.
    """
    with capture_logs() as events:
        async with _running(framing, mode, tunnels, by_halves=by_halves) as site:
            yield site
    assert not [event for event in events if event["log_level"] == "error"]


@contextlib.asynccontextmanager
async def _running(framing: Framing, mode: Mode, tunnels: int, *, by_halves: bool) -> AsyncIterator[CutSite]:
    async with (
        CountingStore(framing, by_halves=by_halves) as store,
        CuttingRelay(store.port) as store_way,
        CuttingRelay() as tunnel_way,
    ):
        cluster = _RelayedCluster(
            [Link("s", loopback_store(store_way.port), concurrency=64)],
            mode=mode,
            tunnel=TunnelConfig(
                tunnels=tunnels,
                heartbeat_interval_s=SELDOM_S,
                silence_limit_s=3 * SELDOM_S,
                backoff=BackoffLimits(first_s=0.002, cap_s=0.004),
            ),
            ssh=SshConfig(heartbeat_interval_s=SELDOM_S, silence_limit_s=3 * SELDOM_S),
            channels=ChannelLimits(warm_min=0),
        )
        cluster.door = tunnel_way
        async with cluster:
            yield CutSite(cluster, store, tunnel_way, store_way, tunnels)
