"""Those that wait for a channel: who gets which, and what the tunnel's load is meanwhile."""

from __future__ import annotations

import asyncio
import random

import pytest

from agent.server.channel_limits import ChannelLimits
from agent.server.channel_pool import ChannelPool
from agent.server.channels import UpstreamChannel
from agent.streams import ByteSession
from tests.unit.server_plane.test_channels import Tunnel, User


class SlowTunnel(Tunnel):
    """Opens a channel when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[asyncio.Event] = []

    async def open(self, session: ByteSession) -> None:
        asked = asyncio.Event()
        self.asked.append(asked)
        await asked.wait()
        await super().open(session)


async def asking(pool: ChannelPool, count: int) -> list[asyncio.Task[UpstreamChannel]]:
    tasks = [asyncio.create_task(pool.open()) for _ in range(count)]
    await asyncio.sleep(0)  # each has asked
    await asyncio.sleep(0)  # and the tunnel has been asked
    return tasks


async def test_what_is_being_opened_counts_as_load_from_the_first_moment() -> None:
    tunnel = SlowTunnel()
    tasks = await asking(tunnel.pool(warm_min=0), 3)
    assert (tunnel.in_flight, len(tunnel.asked)) == (3, 3)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    assert tunnel.in_flight == 2


async def test_who_waits_gets_the_channel_that_comes_back_first() -> None:
    tunnel = SlowTunnel()
    pool = tunnel.pool(warm_min=0)
    (running,) = await asking(pool, 1)
    tunnel.asked[0].set()
    channel = await running
    first, second = await asking(pool, 2)
    channel.attach(User())
    channel.release()
    assert await first is channel
    assert tunnel.in_flight == 2
    tunnel.asked[1].set()
    assert await second is not channel
    tunnel.asked[2].set()
    await tunnel.settle()
    assert (pool.idle_count, pool.busy_count, tunnel.in_flight) == (1, 2, 2), "the third is warm"


async def test_who_waits_takes_what_is_being_opened_already() -> None:
    tunnel = SlowTunnel()
    pool = tunnel.pool(warm_min=2)
    assert pool.take() is None
    await asking(pool, 0)
    assert len(tunnel.asked) == 2
    tasks = await asking(pool, 1)
    tunnel.asked[0].set()
    await asyncio.wait_for(tasks[0], 5)
    assert len(tunnel.asked) == 3, "one for who waited, two to spare"


async def test_behind_plain_ssh_who_waits_is_given_no_used_connection() -> None:
    tunnel = SlowTunnel()
    pool = tunnel.pool(plain=True)
    (running,) = await asking(pool, 1)
    tunnel.asked[0].set()
    channel = await running
    (waiting,) = await asking(pool, 1)
    channel.attach(User())
    channel.release()
    tunnel.asked[1].set()
    assert await waiting is not channel


async def test_a_channel_handed_to_somebody_who_has_just_left_is_not_lost() -> None:
    tunnel = SlowTunnel()
    pool = tunnel.pool(warm_min=0, channels_max=2)
    (running,) = await asking(pool, 1)
    tunnel.asked[0].set()
    channel = await running
    (leaving,) = await asking(pool, 1)
    channel.attach(User())
    channel.release()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert tunnel.in_flight == 0
    assert pool.take() is channel


async def test_a_channel_that_ends_while_it_is_handed_over_is_replaced() -> None:
    tunnel = SlowTunnel()
    pool = tunnel.pool(warm_min=0)
    (running,) = await asking(pool, 1)
    tunnel.asked[0].set()
    channel = await running
    (waiting,) = await asking(pool, 1)
    channel.attach(User())
    channel.release()
    channel.connection_lost(None)
    tunnel.asked[1].set()
    assert await asyncio.wait_for(waiting, 5) is not channel
    assert tunnel.in_flight == 1


async def test_a_refusal_goes_to_one_of_those_that_wait() -> None:
    tunnel = SlowTunnel()
    tasks = await asking(tunnel.pool(warm_min=0), 2)
    tunnel.refuses = True
    tunnel.asked[1].set()
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(done.pop().exception(), ConnectionError)
    tunnel.refuses = False
    tunnel.asked[0].set()
    await asyncio.wait_for(waiting.pop(), 5)
    assert tunnel.in_flight == 1


async def test_a_defect_of_the_tunnel_is_told_to_who_waits() -> None:
    async def fails(session: ByteSession) -> None:
        raise ZeroDivisionError

    tunnel = Tunnel()
    pool = ChannelPool(fails, tunnel.spawn, limits=ChannelLimits(warm_min=0), carrier=tunnel)
    with pytest.raises(ZeroDivisionError):
        await pool.open()
    assert tunnel.in_flight == 0


async def test_an_agent_that_answers_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.server.channel_pool.OPEN_TIMEOUT_S", 0.02)
    tunnel = SlowTunnel()
    with pytest.raises(ConnectionError, match="not answered"):
        await tunnel.pool(warm_min=0).open()
    assert tunnel.in_flight == 0


@pytest.mark.parametrize("seed", range(5))
async def test_the_load_is_always_what_runs_and_what_waits(seed: int) -> None:
    choose = random.Random(seed)
    tunnel = SlowTunnel()
    pool = tunnel.pool(warm_min=1, channels_max=6)
    waiting: list[asyncio.Task[UpstreamChannel]] = []
    used: list[UpstreamChannel] = []
    for step in range(400):
        match choose.randrange(5):
            case 0:
                taken = pool.take()
                if taken is not None:
                    taken.attach(User())
                    used.append(taken)
            case 1:
                waiting.append(asyncio.create_task(pool.open()))
            case 2 if tunnel.asked:
                tunnel.refuses = choose.random() < 0.2
                tunnel.asked.pop(choose.randrange(len(tunnel.asked))).set()
            case 3 if used:
                channel = used.pop(choose.randrange(len(used)))
                if choose.random() < 0.7:
                    channel.release()
                elif choose.random() < 0.5:
                    channel.abort()
                else:
                    channel.connection_lost(None)
            case 4 if waiting:
                choose.choice(waiting).cancel()
        for _ in range(choose.randrange(3) if step % 5 else 6):  # with 6 turns everybody has heard what there is
            await asyncio.sleep(0)
        for task in [task for task in waiting if task.done()]:
            waiting.remove(task)
            if not task.cancelled() and task.exception() is None:
                assert all(task.result() is not other for other in used), "one exchange on each"
                task.result().attach(User())
                used.append(task.result())
        assert len(pool._all) <= 6
        if step % 5 == 0:
            assert (tunnel.in_flight, pool.busy_count) == (len(used) + len(waiting), len(used))
            assert pool._opening >= len(waiting)
    pool.close()
    await asyncio.gather(*waiting, return_exceptions=True)
    for channel in used:
        channel.release()
    for asked in tunnel.asked:
        asked.set()
    await tunnel.settle()
    assert (tunnel.in_flight, pool.busy_count, pool.idle_count) == (0, 0, 0)
