"""The fault proxy does what it is told, and says so: a fault that did not happen would prove nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.faults.child import Child

WAY = "line"
DELAY_S = 0.2
RATE_BYTES_S = 20_000


class Line:
    """A client's connection through the proxy, and the server's end of it."""

    def __init__(self, proxy: Child, port: int, accepted: asyncio.Queue[Any]) -> None:
        self.proxy = proxy
        self.port = port
        self._accepted = accepted
        self._connections = 0
        self.near: tuple[asyncio.StreamReader, asyncio.StreamWriter]
        self.far: tuple[asyncio.StreamReader, asyncio.StreamWriter]

    async def connect(self) -> None:
        """A further connection; both ends are kept."""
        self.near = await asyncio.open_connection("127.0.0.1", self.port)
        async with asyncio.timeout(5):
            self.far = await self._accepted.get()
        self._connections += 1
        await self.proxy.event(lambda event: event["event"] == "opened", count=self._connections)

    async def strike(self, what: str, **fields: Any) -> None:
        """Strike the connection."""
        assert await self.proxy.ask("strike", way=WAY, what=what, **fields) == 1

    async def passes(self, data: bytes = b"ping", *, up: bool = True) -> bytes:
        """Send in a direction; what came out, as much as went in."""
        reader, writer = (self.far[0], self.near[1]) if up else (self.near[0], self.far[1])
        writer.write(data)
        async with asyncio.timeout(5):
            return await reader.readexactly(len(data))

    async def struck(self) -> list[dict[str, Any]]:
        """What the proxy says that it did."""
        return await self.proxy.event(lambda event: event["event"] == "struck")


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    writers = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await accepted.put((reader, writer))

    async with Child("tests.faults.proxy") as proxy, await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line = Line(proxy, await proxy.ask("open", way=WAY, target_port=port), accepted)
        await line.connect()
        yield line
        for writer in [*writers, line.near[1]]:
            writer.transport.abort()


async def test_bytes_pass_both_ways_and_ends_do_too(line: Line) -> None:
    assert await line.passes(b"x" * 300_000) == b"x" * 300_000
    assert await line.passes(b"pong", up=False) == b"pong"
    line.near[1].write_eof()
    assert await line.far[0].read() == b""
    assert await line.passes(b"later", up=False) == b"later"


@pytest.mark.parametrize(("what", "ends"), [("rst", ConnectionResetError), ("fin", None)])
async def test_both_sides_get_the_end_that_was_asked_for(line: Line, what: str, ends: type[Exception] | None) -> None:
    await line.strike(what)
    for reader, _ in (line.near, line.far):
        if ends is None:
            assert await reader.read() == b""
        else:
            with pytest.raises(ends):
                await reader.read()
    (told,) = await line.struck()
    assert told["what"] == what


async def test_half_open_resets_one_side_and_keeps_the_other_silent(line: Line) -> None:
    await line.strike("half_open", side="near")
    with pytest.raises(ConnectionResetError):
        await line.near[0].read()
    line.far[1].write(b"into the void")
    await line.far[1].drain()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await line.far[0].read()


async def test_a_black_hole_swallows_one_direction_from_a_byte_on(line: Line) -> None:
    await line.strike("black_hole", directions=("up",), after_bytes=6)
    line.near[1].write(b"abc")
    assert await line.far[0].readexactly(3) == b"abc"
    line.near[1].write(b"defghi")
    assert await line.far[0].readexactly(3) == b"def"
    assert await line.passes(b"down", up=False) == b"down"
    line.near[1].transport.abort()  # its end is swallowed, too
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await line.far[0].read()


async def test_a_marker_sets_it_off(line: Line) -> None:
    await line.strike("black_hole", directions=("up",), marker="now")
    assert await line.passes(b"not yet ") == b"not yet "
    assert await line.passes(b"now") == b"now"
    line.near[1].write(b"lost")
    (told,) = await line.struck()
    assert told["passed_bytes"] == len(b"not yet now")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await line.far[0].read(1)


async def test_a_corrupted_byte_differs_in_one_bit_and_a_truncated_one_is_missing(line: Line) -> None:
    await line.strike("corrupt", after_bytes=2)
    assert [a ^ b for a, b in zip(await line.passes(b"abcd"), b"abcd", strict=True)] == [0, 0, 0x10, 0]
    await line.strike("truncate", count=2)
    line.near[1].write(b"abcd")
    assert await line.far[0].readexactly(2) == b"cd"


async def test_latency_and_rate_take_their_time_and_end(line: Line) -> None:
    loop = asyncio.get_running_loop()
    await line.proxy.ask("conditions", way=WAY, delay_s=DELAY_S)
    began_at = loop.time()
    await line.passes()
    await line.passes(up=False)
    assert loop.time() - began_at >= 2 * DELAY_S
    await line.proxy.ask("conditions", way=WAY, rate_bytes_s=RATE_BYTES_S)
    began_at = loop.time()
    await line.passes(b"x" * RATE_BYTES_S)
    assert loop.time() - began_at >= 0.8
    await line.proxy.ask("heal")
    began_at = loop.time()
    await line.passes(b"x" * RATE_BYTES_S)
    assert loop.time() - began_at < 0.8


async def test_a_way_that_is_shut_refuses_and_keeps_its_port(line: Line) -> None:
    await line.proxy.ask("shut", way=WAY)
    with pytest.raises(ConnectionResetError):
        await line.near[0].read()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", line.port)
    await line.proxy.ask("reopen", way=WAY)
    await line.connect()
    assert await line.passes() == b"ping"
