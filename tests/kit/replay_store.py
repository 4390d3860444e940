"""A store that answers with a recorded response exactly as it was recorded, and keeps the bytes that it received."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

from agent.body import tracker_for
from agent.http1 import parse_request_head
from tests.kit.exchange import Exchange

STREAMED_FROM_BYTES = 256 * 1024
"""A body over this size is sent in two halves, the second only when ``go_on`` is set: see ``Replay``."""


class Replay:
    """What happens to one recording: ``received`` are the bytes that the store got for it, on whatever connection.

    ``go_on`` is set by the client when it has received the first half of a large answer, ``half_way`` by the store
    when it has received half of a large request: with both a test proves that nobody on the way keeps a body whole.
    ``over`` is set when the store is done with it.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.received = bytearray()
        self.go_on = asyncio.Event()
        self.half_way = asyncio.Event()
        self.over = asyncio.Event()


class ReplayStore:
    """One recording at a time: ``play`` says which is next."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._replay: Replay | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.stray = bytearray()
        """Bytes that came while nothing was played."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def play(self, exchange: Exchange) -> Replay:
        """From now on answer with this recording's response."""
        self._replay = Replay(exchange)
        return self._replay

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: start_server would complain about one that is ended with its connection.
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="replay-store")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request and answer it; False when the connection is to be closed."""
        pending = bytearray()
        while (end := pending.find(b"\r\n\r\n")) < 0:
            data = await reader.read(65536)
            if not data:
                return False
            pending += data
            if self._replay is None:
                self.stray += data
                return False
            self._replay.received += data
        replay = self._replay
        if replay is None:
            return False
        head = parse_request_head(bytes(pending[: end + 4]))
        response = replay.exchange.response
        if response.interim:
            await _send(writer, response.interim_bytes())
        body = tracker_for(head.framing, head.length)
        rest = bytes(pending[end + 4 :])
        taken = 0
        while not body.done:
            if not rest:
                rest = await reader.read(65536)
                if not rest:
                    return False
                replay.received += rest
            taken += body.feed(rest)
            rest = b""
            if taken >= replay.exchange.request.body_length // 2:
                replay.half_way.set()
        await self._answer(replay, writer, to_head=head.method == b"HEAD")
        return not (replay.exchange.closed_after or response.framing == "eof")

    async def _answer(self, replay: Replay, writer: asyncio.StreamWriter, *, to_head: bool) -> None:
        response = replay.exchange.response
        await _send(writer, response.head_bytes())
        body = b"" if to_head else response.wire_body()
        if len(body) > STREAMED_FROM_BYTES:
            await _send(writer, body[: len(body) // 2])
            await replay.go_on.wait()
            body = body[len(body) // 2 :]
        if body:
            await _send(writer, body)
        replay.over.set()
        self._replay = None


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
