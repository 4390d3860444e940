"""Waiting for a channel: who is woken, who is told what, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.errors import AgentOffline, ConnectionBusy, PolicyDenied, ServerDraining
from agent.policy import METHODS, Rule
from agent.server.channel_limits import ChannelLimits
from agent.server.channel_pools import ChannelPools
from agent.server.channels import UpstreamChannel
from agent.server.cloud import CloudForwarder
from agent.server.gateway_context import GatewayContext, GatewayLimits, Phase
from agent.server.registry import Registry
from agent.server.routes import Route
from agent.server.tunnel import Tunnel
from agent.server.upstreams import Upstreams
from agent.store_url import Store
from agent.streams import ByteSession
from agent.tunnel.messages import Goodbye
from tests.kit.memory_channel import MemoryChannel
from tests.kit.until import until
from tests.unit.server_plane.test_order import route, table_of

LYON: Route = route(mode="on-premise", agent_id="a")


class Link:
    """A tunnel's link; opens memory channels to an agent that the test plays, when ``answers`` is set."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0

    async def open_channel(self, session: ByteSession) -> None:
        self.asked += 1
        await self.answers.wait()
        await asyncio.sleep(0)
        session.connection_made(MemoryChannel(session))

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None:
        """Not of interest here."""

    def drain(self, reason: str, retry_after_s: float | None) -> None:
        """Not of interest here."""


class Bench:
    """Upstreams over a registry, without SSH; ``now`` is the wall clock."""

    def __init__(self, channels_max: int = 1, warm_min: int = 0) -> None:
        self.now = 1_000_000.0
        self.table = table_of(LYON)
        limits = GatewayLimits(park_s=0.2, park_drain_s=0.4)
        self.context = GatewayContext(self.table, limits, lambda _record: None)
        self.cloud = CloudForwarder(self.context.spawn)
        channels = ChannelLimits(channels_max=channels_max, warm_min=warm_min)
        self.registry = Registry(ChannelPools(self.context, channels).make, lambda: self.now)
        self.upstreams = Upstreams(self.context, self.registry, self.cloud, lambda: self.now)
        self.context.upstreams = self.upstreams

    def add_tunnel(self, instance: str = "i", index: int = 0) -> Tunnel:
        rules = (Rule(LYON.store, frozenset(METHODS), None),)
        tunnel = Tunnel("a", "agent", instance, index, False, b"n", rules, "peer", "1", "host", self.now, Link())
        self.registry.add(tunnel)
        return tunnel


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_a_request_gets_the_channel_that_comes_back(bench: Bench) -> None:
    bench.context.limits = GatewayLimits(park_s=60)
    bench.add_tunnel()
    channel = await bench.upstreams.find(LYON, for_write=False)
    assert bench.upstreams.take(LYON, for_write=False) is None
    waiting = asyncio.create_task(bench.upstreams.find(LYON, for_write=False))
    await until(lambda: bench.upstreams.parked_count == 1)
    channel.release()
    assert await asyncio.wait_for(waiting, 5) is channel
    waiting = asyncio.create_task(bench.upstreams.find(LYON, for_write=True))
    await until(lambda: bench.upstreams.parked_count == 1)
    channel.abort()
    assert (await asyncio.wait_for(waiting, 5)) is not channel, "there was room for a new one"
    assert bench.upstreams._waiters == {}


async def test_with_a_tunnel_there_it_is_busy_and_not_offline(bench: Bench) -> None:
    bench.add_tunnel()
    await bench.upstreams.find(LYON, for_write=False)
    with pytest.raises(ConnectionBusy, match="tunnels are in use"):
        await bench.upstreams.find(LYON, for_write=False)


async def test_without_a_tunnel_the_agent_is_offline(bench: Bench) -> None:
    with pytest.raises(AgentOffline):
        await bench.upstreams.find(LYON, for_write=False)


@pytest.mark.parametrize("seen", [False, True])
async def test_a_wall_clock_that_is_put_back_makes_nobody_wait_longer(bench: Bench, seen: bool) -> None:
    if seen:
        bench.registry.remove(bench.add_tunnel(), "closed")
    bench.now -= 3600
    with pytest.raises(AgentOffline):
        async with asyncio.timeout(10):
            await bench.upstreams.find(LYON, for_write=False)


async def test_who_waits_is_told_at_once_that_the_server_leaves(bench: Bench) -> None:
    bench.context.limits = GatewayLimits(park_s=60, park_drain_s=60)
    waiting = [asyncio.create_task(bench.upstreams.find(LYON, for_write=False)) for _ in range(2)]
    await until(lambda: bench.upstreams.parked_count == 2)
    bench.context.refuse_waiting()
    for answer in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5):
        assert isinstance(answer, ServerDraining)


async def test_a_tunnel_that_is_there_serves_while_the_server_leaves(bench: Bench) -> None:
    bench.add_tunnel()
    bench.context.phase = Phase.REFUSING
    assert await bench.upstreams.find(LYON, for_write=False) is not None


async def test_what_belongs_to_a_deleted_connection_goes_with_it(bench: Bench) -> None:
    paris, nice = route(connection_id="id-paris", slug="paris"), route(connection_id="id-nice", slug="nice")
    bench.table.replace([paris, nice], [])
    pools = [bench.cloud.pool(one) for one in (paris, nice)]
    places = [bench.context.admission(one) for one in (paris, nice)]
    bench.table.replace([paris], [])
    assert bench.cloud.pool(paris) is pools[0]
    assert bench.context.admission(paris) is places[0]
    with pytest.raises(ConnectionError):
        await pools[1].open()
    assert (len(bench.cloud._routes), len(bench.context._admissions)) == (1, 1)
    bench.upstreams.close()
    bench.upstreams.close()
    assert bench.table.on_replace == []
    await bench.cloud.close()


async def test_a_store_of_a_replica_that_is_away_is_waited_for_and_then_denied(bench: Bench) -> None:
    bench.context.limits = GatewayLimits(park_s=60, park_drain_s=60)
    other, gone = bench.add_tunnel("i1"), bench.add_tunnel("i2")
    other.set_rules(())
    bench.registry.remove(gone, "killed")
    waiting = asyncio.create_task(bench.upstreams.find(LYON, for_write=True))
    await until(lambda: bench.upstreams.parked_count == 1)
    returned = bench.add_tunnel("i2")
    assert await asyncio.wait_for(waiting, 5) is not None
    bench.registry.remove(returned, "killed")
    bench.now += 61
    with pytest.raises(PolicyDenied):
        await bench.upstreams.find(LYON, for_write=True)


async def test_a_defect_on_the_way_is_an_answer_and_not_a_wait_for_ever(bench: Bench) -> None:
    bench.add_tunnel()

    def fails(agent_id: str, store: Store) -> list[Tunnel]:
        raise ZeroDivisionError

    bench.registry.eligible = fails  # type: ignore[method-assign]  # a defect
    with pytest.raises(AgentOffline, match="failed inside the gateway"):
        await bench.upstreams.find(LYON, for_write=False)
    assert bench.upstreams._waiters == {}


async def test_a_burst_is_spread_over_the_tunnels() -> None:
    bench = Bench(channels_max=256, warm_min=2)
    tunnels = [bench.add_tunnel(index=0), bench.add_tunnel(index=1)]
    links = [tunnel.link for tunnel in tunnels if isinstance(tunnel.link, Link)]
    for link in links:
        link.answers.clear()
    warm = [bench.upstreams.take(LYON, for_write=False) for _ in range(2)]
    finding = [asyncio.create_task(bench.upstreams.find(LYON, for_write=False)) for _ in range(64)]
    await until(lambda: sum(tunnel.in_flight for tunnel in tunnels) == 64)
    assert [tunnel.in_flight for tunnel in tunnels] == [32, 32]
    for link in links:
        link.answers.set()
    channels = await asyncio.wait_for(asyncio.gather(*finding), 5)
    assert [tunnel.channels.busy_count for tunnel in tunnels] == [32, 32]
    assert len(set(channels)) == 64
    assert warm == [None, None]
    for channel in channels:
        channel.release()
    assert [tunnel.in_flight for tunnel in tunnels] == [0, 0]
    again = [bench.upstreams.take(LYON, for_write=False) for _ in range(64)]
    assert None not in again, "none was closed when it came back"
    assert [tunnel.in_flight for tunnel in tunnels] == [32, 32]
    await bench.context.close()


async def test_who_waits_for_the_agent_gets_the_first_channels_of_its_new_tunnel() -> None:
    bench = Bench(channels_max=256, warm_min=2)
    bench.context.limits = GatewayLimits(park_s=60)
    bench.registry.remove(bench.add_tunnel(), "cut")
    waiting = [asyncio.create_task(bench.upstreams.find(LYON, for_write=True)) for _ in range(5)]
    await until(lambda: bench.upstreams.parked_count == 5)
    link = bench.add_tunnel().link
    assert isinstance(link, Link)
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert link.asked == 7, "one each, that which was on its way among them, and two to spare"
    await bench.context.close()


async def test_a_server_that_leaves_warms_nothing() -> None:
    bench = Bench(warm_min=2)
    bench.context.phase = Phase.REFUSING
    bench.add_tunnel()
    assert not bench.context._tasks


async def one_waits() -> tuple[Bench, Tunnel, Tunnel, asyncio.Task[UpstreamChannel]]:
    """Somebody waits for a channel of the first tunnel, which does not answer yet; a second one is there by now."""
    bench = Bench(channels_max=256)
    first = bench.add_tunnel(index=0)
    assert isinstance(first.link, Link)
    first.link.answers.clear()
    waiting = asyncio.create_task(bench.upstreams.find(LYON, for_write=True))
    await until(lambda: first.in_flight == 1)
    return bench, first, bench.add_tunnel(index=1), waiting


@pytest.mark.parametrize("drains", [True, False])
async def test_who_waits_for_a_channel_of_a_tunnel_that_drains_looks_elsewhere(drains: bool) -> None:
    bench, first, second, waiting = await one_waits()
    assert isinstance(first.link, Link)
    if drains:
        bench.registry.set_draining(first, "restart")
    else:
        bench.registry.set_leaving(first, "restart")
        first.link.answers.set()
    channel = await asyncio.wait_for(waiting, 5)
    assert channel.pool is (second if drains else first).channels
    assert (first.in_flight, second.in_flight) == ((0, 1) if drains else (1, 0))
    await bench.context.close()


async def test_a_channel_that_came_in_the_turn_in_which_its_tunnel_drains_is_not_used() -> None:
    bench, first, second, waiting = await one_waits()
    assert isinstance(first.link, Link)
    assert first.channels is not None
    pool: Any = first.channels
    queue = pool._waiting
    first.link.answers.set()
    async with asyncio.timeout(5):
        while queue:  # noqa: ASYNC110 - it is this very turn that matters
            await asyncio.sleep(0)
    bench.registry.set_draining(first, "restart")  # the channel is handed over, and its taker has not run yet
    assert not waiting.done()
    channel = await asyncio.wait_for(waiting, 5)
    assert channel.pool is second.channels
    assert (first.in_flight, second.in_flight) == (0, 1)
    await bench.context.close()
