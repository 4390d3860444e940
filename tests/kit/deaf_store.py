"""A store that accepts connections and reads nothing until it is told to."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Self

from tests.kit.scripted_store import ok

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


class DeafStore:
    """``listen`` makes it read; it then answers each whole request with 200.

    ``ended`` is set when a connection ended before its request was whole.
    """

    def __init__(self) -> None:
        self.listen = asyncio.Event()
        self.ended = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.listen.set()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not at once: Python 3.11.2 undoes a pause inside connection_made when the loop adds the reader.
        asyncio.get_running_loop().call_soon(writer.transport.pause_reading)  # type: ignore[attr-defined]  # a socket's
        self._writers.append(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="deaf-store")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.listen.wait()
        if writer.transport.is_closing():
            return
        writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                left = int(length[1]) if length else 0
                while left:
                    data = await reader.read(min(left, 1 << 20))
                    if not data:
                        raise ConnectionError
                    left -= len(data)
                writer.write(ok())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.ended.set()
        finally:
            writer.close()
