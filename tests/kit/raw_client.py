"""A client that sends bytes as they are and tells apart what a library would hide: EOF, RST, exact bytes."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agent.http1 import ResponseHead
from agent.response_reader import ResponseReader


def basic(key: str) -> bytes:
    """The Authorization line with which PrestaShop clients send a key."""
    return b"Authorization: Basic " + base64.b64encode(key.encode() + b":") + b"\r\n"


@dataclass
class RawAnswer:
    """One answer as it came; ``interim`` are the heads of 1xx answers before it, ``body`` has its framing."""

    raw: bytes
    head: bytes
    body: bytes
    status: int
    interim: tuple[bytes, ...] = ()

    def field(self, name: str) -> str | None:
        """Value of a field, by name in any case."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name.lower().encode():
                return value.strip().decode()
        return None

    @property
    def error_name(self) -> str:
        """The name in Proxy-Status, or ""."""
        status = self.field("Proxy-Status") or ""
        return status.partition('details="')[2].rstrip('"')


class RawClient:
    """One TCP connection to a server under test, over ``sock`` where that is connected already."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None, sock: socket.socket | None = None) -> None:
        self._port = port
        self._tls = tls
        self._sock = sock
        self._ahead = b""
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        if self._sock is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._tls)
        else:
            self.reader, self.writer = await asyncio.open_connection(sock=self._sock)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, to_head: bool = False, timeout_s: float = 20.0) -> RawAnswer:
        """The next whole answer; ``ConnectionError`` when it breaks off. What follows is kept for the next call."""
        received = bytearray()
        heads: list[bytes] = []

        def keep(head: ResponseHead) -> bytes:
            heads.append(head.raw)
            return head.raw

        reader = ResponseReader(keep, to_head=to_head, rewrite_interim=keep)
        taken = 0
        data, self._ahead = self._ahead, b""
        async with asyncio.timeout(timeout_s):
            while True:
                if data:
                    received += data
                    taken += len(reader.feed(data))
                    if reader.done:
                        break
                data = await self.reader.read(65536)
                if not data:
                    if reader.head is not None and reader.eof():
                        break
                    raise ConnectionError(f"the answer broke off after {bytes(received)!r}")
        self._ahead = bytes(received[taken:])
        del received[taken:]
        assert reader.head is not None
        body = bytes(received[sum(map(len, heads)) :])
        return RawAnswer(bytes(received), reader.head.raw, body, reader.head.status, tuple(heads[:-1]))

    async def ask(self, data: bytes, *, to_head: bool = False) -> RawAnswer:
        """Send and take the answer."""
        await self.send(data)
        return await self.answer(to_head=to_head)

    async def rest(self, timeout_s: float = 5.0) -> bytes:
        """Everything until EOF; a RST raises ``ConnectionResetError``."""
        async with asyncio.timeout(timeout_s):
            return self._ahead + await self.reader.read(-1)
