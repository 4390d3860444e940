"""The gateway's ends of channels and their pool."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import asyncssh
import pytest

from agent.server.channel_limits import ChannelLimits
from agent.server.channel_pool import ChannelPool
from agent.server.channels import UpstreamChannel
from agent.streams import ByteSession
from tests.kit.memory_channel import MemoryChannel


class User:
    """An exchange on a channel: records what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.received = bytearray()
        self.expired = asyncio.Event()

    def upstream_data(self, data: bytes) -> None:
        self.received += data

    def upstream_lost(self, *, whole: bool) -> None:
        self.events.append("whole" if whole else "lost")

    def upstream_hold(self) -> None:
        self.events.append("hold")

    def upstream_release(self) -> None:
        self.events.append("release")

    def upstream_expired(self) -> None:
        self.expired.set()


class Tunnel:
    """Opens memory channels; the test plays the agent."""

    def __init__(self) -> None:
        self.channels: list[MemoryChannel] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.in_flight = 0
        self.refuses = False
        self.frees = 0

    async def open(self, session: ByteSession) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "no")
        channel = MemoryChannel(session)
        self.channels.append(channel)
        session.connection_made(channel)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine, name=name))

    async def settle(self) -> None:
        while self.tasks:
            await self.tasks.pop()

    def pool(self, *, plain: bool = False, **limits: int) -> ChannelPool:
        return ChannelPool(
            self.open,
            self.spawn,
            nonce=b"n",
            plain=plain,
            limits=ChannelLimits(**limits),
            carrier=self,
            on_free=self.freed,
        )

    def freed(self) -> None:
        self.frees += 1


def far(channel: UpstreamChannel) -> MemoryChannel:
    assert isinstance(channel._channel, MemoryChannel)
    return channel._channel


async def test_a_channel_carries_one_exchange_after_another() -> None:
    tunnel = Tunnel()
    pool = tunnel.pool(warm_min=0)
    assert pool.take() is None
    channel = await pool.open()
    for count in (1, 2):
        user = User()
        channel.attach(user)
        channel.write(b"request")
        far(channel).deliver(b"answer")
        assert user.received == b"answer"
        channel.release()
        assert channel.uses == count
        assert pool.take() is channel
    assert far(channel).written == b"requestrequest"
    assert pool.busy_count == 1
    assert tunnel.in_flight == 1


async def test_warm_channels_are_opened_in_the_background() -> None:
    tunnel = Tunnel()
    pool = tunnel.pool(warm_min=2)
    assert pool.take() is None
    await tunnel.settle()
    assert pool.idle_count == 2
    taken = pool.take()
    assert taken is not None
    await tunnel.settle()
    assert (pool.idle_count, pool.busy_count, len(tunnel.channels)) == (2, 1, 3)


async def test_a_refused_warm_channel_is_nobodys_error() -> None:
    tunnel = Tunnel()
    tunnel.refuses = True
    pool = tunnel.pool(warm_min=1)
    assert pool.take() is None
    await tunnel.settle()
    assert pool.idle_count == 0
    tunnel.refuses = False
    pool.take()
    await tunnel.settle()
    assert pool.idle_count == 1, "what was refused is not counted as on its way"


async def test_a_refused_channel_is_a_connection_error() -> None:
    tunnel = Tunnel()
    tunnel.refuses = True
    with pytest.raises(ConnectionError, match="refused"):
        await tunnel.pool(warm_min=0).open()


async def test_there_is_a_limit() -> None:
    pool = Tunnel().pool(warm_min=0, channels_max=2)
    await pool.open()
    await pool.open()
    with pytest.raises(ConnectionError, match="no more"):
        await pool.open()


async def test_bytes_that_nobody_asked_for_end_an_idle_channel_at_once() -> None:
    tunnel = Tunnel()
    pool = tunnel.pool(warm_min=0)
    channel = await pool.open()
    channel.attach(User())
    channel.release()
    far(channel).deliver(b"HTTP/1.1 200 OK\r\n\r\n")
    assert far(channel).aborted
    assert pool.take() is None, "its connection_lost has not come yet"


async def test_eof_ends_an_idle_channel_at_once() -> None:
    pool = Tunnel().pool(warm_min=0)
    channel = await pool.open()
    channel.attach(User())
    channel.release()
    channel.eof_received()
    assert pool.take() is None
    channel.connection_lost(None)
    assert pool.busy_count == 0


async def test_a_channel_that_ended_during_an_exchange_is_not_kept() -> None:
    pool = Tunnel().pool(warm_min=0)
    channel = await pool.open()
    channel.attach(User())
    channel.eof_received()
    channel.release()
    assert (pool.idle_count, pool.busy_count) == (0, 0)


@pytest.mark.parametrize("eof", [True, False])
async def test_an_exchange_hears_how_its_channel_ended(eof: bool) -> None:
    pool = Tunnel().pool(warm_min=0)
    channel = await pool.open()
    user = User()
    channel.attach(user)
    if eof:
        channel.eof_received()
    channel.connection_lost(None)
    assert user.events == ["whole" if eof else "lost"]
    assert pool.busy_count == 0


async def test_silence_is_noticed() -> None:
    pool = Tunnel().pool(warm_min=0)
    channel = await pool.open()
    user = User()
    channel.attach(user)
    channel.expect_within(0.02)
    await asyncio.wait_for(user.expired.wait(), 5)


async def test_back_pressure_passes_through_both_ways() -> None:
    pool = Tunnel().pool(warm_min=0)
    channel = await pool.open()
    user = User()
    channel.attach(user)
    channel.pause_writing()
    channel.resume_writing()
    assert user.events == ["hold", "release"]
    channel.pause_reading()
    far(channel).deliver(b"held")
    assert user.received == b""
    channel.resume_reading()
    assert user.received == b"held"


async def test_a_released_channel_reads_again_and_trusts_nothing_that_was_held() -> None:
    pool = Tunnel().pool(warm_min=0)
    channel = await pool.open()
    channel.attach(User())
    channel.pause_reading()
    far(channel).deliver(b"surplus")
    channel.release()
    assert far(channel).aborted
    assert pool.take() is None


async def test_with_the_tunnel_all_idle_channels_go() -> None:
    tunnel = Tunnel()
    pool = tunnel.pool(warm_min=0)
    idle, busy = await pool.open(), await pool.open()
    assert tunnel.in_flight == 2
    idle.attach(User())
    idle.release()
    busy.attach(User())
    pool.close()
    assert far(idle).aborted
    assert not far(busy).aborted
    busy.release()
    assert far(busy).aborted
    with pytest.raises(ConnectionError):
        await pool.open()
    await tunnel.settle()
    pool.take()
    assert tunnel.tasks == [], "nothing is warmed any more"
    assert tunnel.in_flight == 0


async def test_a_tunnel_that_goes_while_a_channel_opens() -> None:
    tunnel = Tunnel()
    pool = tunnel.pool(warm_min=0)
    opening = asyncio.ensure_future(pool.open())
    await asyncio.sleep(0)
    pool.close()
    with pytest.raises(ConnectionError, match="went away"):
        await opening
    await tunnel.settle()
    assert tunnel.channels[0].aborted
    assert tunnel.in_flight == 0
