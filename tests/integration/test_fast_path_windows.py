"""Windows of channels on the fast path: they grow with the line, within a budget, and shrink for a slow reader."""

from __future__ import annotations

import asyncio
import time

import pytest

from agent.tunnel import window
from agent.tunnel.fast_channel import FastChannel
from tests.kit.ssh_pair import Pair, Recorder, ssh_pair
from tests.kit.until import until

KIB = 1 << 10
BASE = 64 * KIB
START = 128 * KIB
CHUNK = bytes(range(256)) * 64


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in small: windows of up to 512 KiB, 1 MiB of all."""
    monkeypatch.setattr("agent.tunnel.window.WINDOW_MAX_BYTES", 512 * KIB)
    monkeypatch.setattr("agent.tunnel.window.START_MAX_BYTES", START)
    monkeypatch.setattr("agent.tunnel.fastpath.WINDOWS_MAX_BYTES", 1024 * KIB)


def knows_a_long_line(pair: Pair) -> None:
    assert pair.server.path is not None
    pair.server.path.measured(window.ROUND_TRIP_MAX_S)  # nothing in this process takes so long


async def send(near: Recorder, far: Recorder, size: int) -> None:
    """From the client, as the window admits it."""
    there = len(near.received)
    for _ in range(size // len(CHUNK)):
        far.channel.write(CHUNK)
        await until(lambda: far.channel.get_write_buffer_size() < 2 * len(CHUNK))
    await until(lambda: len(near.received) == there + size // len(CHUNK) * len(CHUNK))


def announced(session: Recorder) -> int:
    return session.channel.get_recv_window()


async def test_a_window_grows_to_its_bound_and_never_holds_more() -> None:
    async with ssh_pair(fast_client=False, fast_server=True) as pair:
        near, far = await pair.channel(window=BASE)
        await send(near, far, 256 * KIB)
        assert announced(near) == BASE  # no round trip is known
        knows_a_long_line(pair)
        assert announced(near) == START  # at once: the channel was opened before
        await until(lambda: far.channel._send_window > BASE)
        await send(near, far, 2048 * KIB)
        assert announced(near) == 512 * KIB
        assert far.channel._send_window <= 512 * KIB
        near.channel.pause_reading()
        far.channel.write(CHUNK * 100)
        await until(lambda: not far.channel._send_window)
        await until(lambda: near.channel._recv_window == 0)
        assert sum(len(data) for data, _ in near.channel._recv_buf) <= 512 * KIB


async def test_windows_of_one_connection_share_a_budget_and_give_it_back() -> None:
    async with ssh_pair(fast_client=False, fast_server=True) as pair:
        knows_a_long_line(pair)
        channels = [await pair.channel(window=BASE) for _ in range(4)]
        for near, far in channels:
            await send(near, far, 2048 * KIB)
        windows = [announced(near) for near, _ in channels]
        assert windows[0] == 512 * KIB
        assert sum(windows) == 1024 * KIB + 4 * BASE
        assert min(windows) >= BASE
        assert pair.server.path is not None
        assert pair.server.path.window_room_bytes() == 1024 * KIB - sum(windows) + 4 * BASE == 0
        channels[0][0].channel.close()
        await until(lambda: bool(channels[0][1].ended))
        await send(*channels[3], 2048 * KIB)
        assert announced(channels[3][0]) > windows[3]


class Clock:
    """Stands still."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


async def test_all_connections_share_the_growth_and_give_it_back() -> None:
    budget = window.WindowBudget(600 * KIB)
    async with (
        ssh_pair(fast_client=False, fast_server=True) as first,
        ssh_pair(fast_client=False, fast_server=True) as second,
    ):
        channels = []
        for pair in (first, second):
            knows_a_long_line(pair)
            assert pair.server.path is not None
            pair.server.path.budget = budget
            channels.append(await pair.channel(window=BASE))
            await send(*channels[-1], 2048 * KIB)
        assert [announced(near) for near, _ in channels] == [512 * KIB, 600 * KIB - 448 * KIB + BASE]
        assert budget.room_bytes == 0
        channels[0][0].channel.close()
        await until(lambda: bool(channels[0][0].ended))
        assert budget.taken_bytes == 152 * KIB
    assert budget.taken_bytes == 0


async def test_what_is_delivered_after_the_end_takes_nothing_of_the_budget() -> None:
    budget = window.WindowBudget(600 * KIB)
    async with ssh_pair(fast_client=True, fast_server=True) as pair:
        knows_a_long_line(pair)
        assert pair.server.path is not None
        pair.server.path.budget = budget
        near, far = await pair.channel(window=BASE)
        near.channel.pause_reading()
        for _ in range(3):
            far.channel.write(CHUNK)
        await until(lambda: sum(len(data) for data, _ in near.channel._recv_buf) == 3 * len(CHUNK))
        pair.server.conn.abort()
        await until(lambda: bool(near.ended))
        assert isinstance(near.channel, FastChannel)
        near.channel._paused_at = time.monotonic()  # a reader that paused for long would get no larger window anyhow
        near.channel.resume_reading()
        assert not near.channel._recv_buf
    assert budget.taken_bytes == 0


async def test_a_window_shrinks_again_for_a_reader_that_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("agent.tunnel.fast_channel.time", clock)
    async with ssh_pair(fast_client=False, fast_server=True) as pair:
        knows_a_long_line(pair)
        near, far = await pair.channel(window=BASE)
        await send(near, far, 2048 * KIB)
        assert announced(near) == 512 * KIB
        assert pair.server.path is not None
        pair.server.path.round_trip_s = 0.0
        for halves in range(1, 4):
            near.channel.pause_reading()
            clock.now += 0.1
            near.channel.resume_reading()
            await send(near, far, 512 * KIB)
            assert announced(near) == 512 * KIB >> halves


async def test_single_bytes_for_a_paused_reader_are_kept_in_pieces() -> None:
    async with ssh_pair(fast_client=True, fast_server=True) as pair:
        near, far = await pair.channel(window=BASE)
        near.channel.pause_reading()
        written = bytes(range(250)) * 60
        for at in range(len(written)):
            far.channel.write(written[at : at + 1])
            if not at % 1000:
                await asyncio.sleep(0)
        await until(lambda: near.channel._recv_window == BASE - len(written))
        assert len(near.channel._recv_buf) <= len(written) / 2048 + 1
        near.channel.resume_reading()
        assert near.received == written
