"""The stream within the process: in order, bounded, and with the ends of a channel."""

from __future__ import annotations

import asyncio

from agent.server.pipe import make_pipe
from agent.streams import ByteChannel


class End:
    """One session: records what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.received = bytearray()
        self.channel: ByteChannel
        self.writable = True

    def connection_made(self, channel: ByteChannel) -> None:
        self.channel = channel
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        assert data
        self.received += data

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, error: Exception | None) -> None:
        self.events.append("lost")

    def pause_writing(self) -> None:
        self.writable = False
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.writable = True
        self.events.append("resume")


def pair() -> tuple[End, End]:
    near, far = End(), End()
    make_pipe(asyncio.get_running_loop(), near, far)
    return near, far


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_bytes_come_in_order_and_a_turn_later() -> None:
    near, far = pair()
    near.channel.write(b"one")
    near.channel.write(b"two")
    far.channel.write(b"back")
    assert not far.received
    assert not near.received
    await turns()
    assert far.received == b"onetwo"
    assert near.received == b"back"
    assert near.events == far.events == ["made"]


async def test_a_reader_that_pauses_stops_the_writer() -> None:
    near, far = pair()
    far.channel.pause_reading()
    written = 0
    while near.writable:
        near.channel.write(b"x" * 10_000)
        written += 10_000
        await turns(1)
    assert 200_000 < written < 400_000
    assert far.received == b""
    far.channel.resume_reading()
    far.channel.resume_reading()
    await turns()
    assert len(far.received) == written
    assert near.events == ["made", "pause", "resume"]


async def test_close_flushes_to_the_other_end() -> None:
    near, far = pair()
    far.channel.pause_reading()
    near.channel.write(b"last words")
    near.channel.write_eof()
    near.channel.close()
    near.channel.write(b"too late")
    await turns()
    assert near.events == ["made", "lost"]
    assert far.events == ["made"], "what was written comes first"
    far.channel.resume_reading()
    await turns()
    assert far.received == b"last words"
    assert far.events == ["made", "eof", "lost"]


async def test_abort_drops_what_waits_and_says_no_eof() -> None:
    near, far = pair()
    near.channel.write(b"never seen")
    near.channel.write_eof()
    near.channel.abort()
    near.channel.abort()
    await turns()
    assert far.received == b""
    assert near.events == far.events == ["made", "lost"]


async def test_abort_reaches_a_reader_that_paused() -> None:
    near, far = pair()
    far.channel.pause_reading()
    near.channel.write(b"x")
    await turns()
    near.channel.abort()
    await turns()
    assert far.events == ["made", "lost"]


async def test_both_ends_may_end_at_once() -> None:
    near, far = pair()
    near.channel.close()
    far.channel.abort()
    await turns()
    assert near.events == far.events == ["made", "lost"]
    far.channel.write(b"x")
    await turns()
    assert near.received == b""
