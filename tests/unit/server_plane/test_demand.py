"""How many channels a tunnel keeps, and opens before anybody asks."""

from __future__ import annotations

import asyncio

import pytest

from agent.server.channel_limits import CLOSED_MAX, WARMING_MAX, ChannelLimits
from agent.server.channel_pool import ChannelPool
from agent.server.channels import UpstreamChannel
from agent.server.demand import HALF_LIFE_S, Demand
from tests.unit.server_plane.test_channels import Tunnel, User, far


def pool_of(tunnel: Tunnel, demand: Demand, *, plain: bool = False, **limits: int) -> ChannelPool:
    return ChannelPool(
        tunnel.open, tunnel.spawn, plain=plain, limits=ChannelLimits(**limits), carrier=tunnel, demand=demand
    )


def known(most: int, ago_s: float = 0.0) -> Demand:
    demand = Demand()
    demand.note(most, asyncio.get_running_loop().time())
    demand._at -= ago_s
    return demand


async def burst(tunnel: Tunnel, pool: ChannelPool, count: int) -> list[UpstreamChannel]:
    """``count`` exchanges at once, over now."""
    channels = await asyncio.gather(*(pool.open() for _ in range(count)))
    for channel in channels:
        channel.attach(User())
    for channel in channels:
        channel.release()
    await tunnel.settle()
    return channels


def test_a_peak_counts_half_after_its_half_life() -> None:
    demand = Demand()
    assert (demand.channels(5.0), demand.is_known) == (0, False)
    demand.note(32, 100.0)
    assert demand.channels(100.0) == 32
    assert demand.channels(100.0 + HALF_LIFE_S) == 16
    demand.note(3, 100.0 + HALF_LIFE_S)
    assert demand.channels(100.0 + HALF_LIFE_S) == 16, "what is less does not hide what was"
    demand.note(20, 100.0 + HALF_LIFE_S)
    assert demand.channels(100.0 + HALF_LIFE_S) == 20
    assert demand.channels(100.0 + 20 * HALF_LIFE_S) == 0
    assert demand.is_known


async def test_an_unused_tunnel_has_one_channel_and_more_after_its_first_exchange() -> None:
    tunnel = Tunnel()
    pool = pool_of(tunnel, Demand())
    pool.prepare()
    await tunnel.settle()
    assert pool.idle_count == 1
    assert pool.take() is not None
    await tunnel.settle()
    assert pool.idle_count == 2


@pytest.mark.parametrize(("most", "ago_s", "opened"), [(1, 1e6, 2), (10, 0, 10), (10, HALF_LIFE_S, 5), (200, 0, 64)])
async def test_the_tunnel_of_a_used_agent_opens_what_it_needed_lately(most: int, ago_s: float, opened: int) -> None:
    tunnel = Tunnel()
    pool = pool_of(tunnel, known(most, ago_s))
    pool.prepare()
    assert len(tunnel.tasks) <= WARMING_MAX, "not all at once"
    await tunnel.settle()
    assert (pool.idle_count, len(tunnel.channels), tunnel.in_flight) == (opened, opened, 0)


async def test_what_is_refused_ends_the_preparation() -> None:
    tunnel = Tunnel()
    tunnel.refuses = True
    pool = pool_of(tunnel, known(10))
    pool.prepare()
    await asyncio.wait_for(tunnel.settle(), 5)
    assert pool.idle_count == 0


@pytest.mark.parametrize("plain", [True, False])
async def test_nothing_is_warmed_behind_plain_ssh_or_for_a_tunnel_that_goes(plain: bool) -> None:
    tunnel = Tunnel()
    pool = pool_of(tunnel, known(10), plain=plain)
    if not plain:
        pool.retire(is_draining=False)
    pool.prepare()
    assert pool.take() is None
    assert tunnel.tasks == []


async def test_a_tunnel_that_goes_ends_its_preparation() -> None:
    tunnel = Tunnel()
    pool = pool_of(tunnel, known(60))
    pool.prepare()
    pool.retire(is_draining=False)
    await tunnel.settle()
    assert pool.idle_count <= WARMING_MAX


async def test_what_a_burst_needed_stays_for_the_next_one() -> None:
    tunnel = Tunnel()
    pool = pool_of(tunnel, Demand())
    await burst(tunnel, pool, 40)
    pool.tidy()
    assert pool.idle_count == 42
    taken = [pool.take() for _ in range(40)]
    assert None not in taken
    assert tunnel.tasks == [], "there are still two to spare"
    pool.close()


async def test_the_surplus_is_closed_little_by_little_the_oldest_first() -> None:
    tunnel = Tunnel()
    demand = Demand()
    pool = pool_of(tunnel, demand)
    channels = await burst(tunnel, pool, 40)
    counts = []
    pool.tidy()
    for _ in range(10):
        demand._at -= HALF_LIFE_S
        pool.tidy()
        counts.append(pool.idle_count)
    assert counts[:2] == [42 - CLOSED_MAX, 12]
    assert counts[-1] == 2
    assert far(channels[0]).aborted
    assert not far(channels[-1]).aborted
    assert pool._tidying is None, "nothing is left to do"


async def test_no_channel_in_use_is_closed() -> None:
    tunnel = Tunnel()
    demand = Demand()
    pool = pool_of(tunnel, demand, kept_max=1)
    await burst(tunnel, pool, 4)
    busy = [pool.take() for _ in range(3)]
    for _ in range(3):
        demand._at -= 10 * HALF_LIFE_S
        pool.tidy()
    assert (pool.busy_count, pool.idle_count) == (3, 2)
    assert not any(far(channel).aborted for channel in busy if channel is not None)
    pool.close()


async def test_the_next_tunnel_of_the_agent_knows_what_the_last_one_carried() -> None:
    tunnel, demand = Tunnel(), Demand()
    pool = pool_of(tunnel, demand)
    await burst(tunnel, pool, 9)
    pool.close()
    following = Tunnel()
    later = pool_of(following, demand)
    later.prepare()
    await following.settle()
    assert later.idle_count == 9
