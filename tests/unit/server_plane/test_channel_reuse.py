"""Which kept channel may carry which exchange, and who hears that one is free."""

from __future__ import annotations

import pytest

from agent.forward.pool import WRITE_IDLE_MAX_S, WRITE_USES_MAX
from agent.server.channel_pool import ChannelPool
from agent.server.channels import UpstreamChannel
from tests.unit.server_plane.test_channels import Tunnel, User, far


async def used(pool: ChannelPool, uses: int = 1, idle_s: float = 0.0) -> UpstreamChannel:
    """A channel that came back ``idle_s`` ago from its exchange number ``uses``."""
    channel = await pool.open()
    channel.uses = uses - 1
    channel.attach(User())
    channel.release()
    channel.idle_since -= idle_s
    return channel


@pytest.mark.parametrize(
    ("uses", "idle_s", "taken"),
    [
        (1, 0.0, True),
        (1, WRITE_IDLE_MAX_S - 1, True),
        (1, WRITE_IDLE_MAX_S + 0.01, False),
        (WRITE_USES_MAX - 1, 0.0, True),
        (WRITE_USES_MAX, 0.0, False),
    ],
)
async def test_behind_plain_ssh_a_write_takes_no_worn_store_connection(uses: int, idle_s: float, taken: bool) -> None:
    pool = Tunnel().pool(plain=True)
    channel = await used(pool, uses, idle_s)
    assert (pool.take(for_write=True) is channel) is taken
    assert far(channel).aborted is not taken


async def test_reads_and_channels_of_an_agent_may_be_worn() -> None:
    for plain, for_write in ((True, False), (False, True)):
        pool = Tunnel().pool(plain=plain, warm_min=0)
        channel = await used(pool, WRITE_USES_MAX, WRITE_IDLE_MAX_S + 1)
        assert pool.take(for_write=for_write) is channel


async def test_a_write_skips_a_worn_connection_for_another_one() -> None:
    pool = Tunnel().pool(plain=True)
    fresh = await used(pool)
    worn = await used(pool, WRITE_USES_MAX)
    assert pool.take(for_write=True) is fresh
    assert far(worn).aborted
    assert pool.busy_count == 1


async def test_behind_plain_ssh_nothing_is_warmed() -> None:
    tunnel = Tunnel()
    assert tunnel.pool(plain=True, warm_min=2).take() is None
    assert tunnel.tasks == []


async def test_who_was_sent_away_hears_once_that_a_channel_is_free() -> None:
    tunnel = Tunnel()
    pool = tunnel.pool(warm_min=0, channels_max=2)
    first, second = await pool.open(), await pool.open()
    with pytest.raises(ConnectionError, match="no more"):
        await pool.open()
    first.attach(User())
    first.release()
    assert tunnel.frees == 1
    assert pool.take() is first
    with pytest.raises(ConnectionError, match="no more"):
        await pool.open()
    second.abort()
    second.connection_lost(None)
    assert tunnel.frees == 2, "once for each"
    first.release()
    assert tunnel.frees == 2, "nobody was sent away since"
    assert pool.take() is first
    tunnel.refuses = True
    with pytest.raises(ConnectionError, match="refused"):
        await pool.open()
    assert tunnel.frees == 2, "a refused channel is no free one"
