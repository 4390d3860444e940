"""A raw HTTP/1.1 client for tests: sends recorded bytes, and gives back what came with case, order and framing."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from tests.kit.exchange import Headers, RecordedRequest

_HEAD_MAX = 256 * 1024


@dataclass(slots=True)
class WireResponse:
    """One answer: ``body`` after de-chunking, ``framing`` as in the recordings, ``interim`` heads of 1xx answers."""

    version: str
    status: int
    reason: str
    headers: Headers
    framing: str
    body: bytes
    chunks: list[int] = field(default_factory=list)
    interim: list[bytes] = field(default_factory=list)
    raw_head: bytes = b""

    def header(self, name: str) -> str | None:
        """Value of the first field called ``name`` (any case)."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class WireClient:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s

    @classmethod
    async def connect(cls, port: int, *, tls: bool = False, timeout_s: float = 30.0) -> WireClient:
        """Connect to a port on loopback; certificates are not looked at."""
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=_HEAD_MAX)
        return cls(reader, writer, timeout_s)

    async def exchange(self, request: RecordedRequest) -> WireResponse:
        """Send a request as it was recorded, waiting for the 100 where its sender did, and read the final answer."""
        async with asyncio.timeout(self._timeout_s):
            self._writer.write(request.head_bytes())
            interim: list[bytes] = []
            if request.expects_continue:
                await self._writer.drain()
                interim.append(await self._reader.readuntil(b"\r\n\r\n"))
            sending = asyncio.create_task(self._send_body(request), name="send the request's body")
            try:
                response = await self._read(request.method, interim)
            finally:
                # A server that refuses a body answers before all of it was sent, and nobody reads the rest.
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            return response

    async def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(content)
        await self._writer.drain()

    async def read(self, method: str = "GET") -> WireResponse:
        """Read one answer to a request with ``method``."""
        async with asyncio.timeout(self._timeout_s):
            return await self._read(method, [])

    async def closed_within(self, seconds: float) -> bool:
        """Whether the server closes the connection, without another byte, within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        """Close this end."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def _send_body(self, request: RecordedRequest) -> None:
        for piece in request.wire_body_pieces():
            self._writer.write(piece)
            await self._writer.drain()

    async def _read(self, method: str, interim: list[bytes]) -> WireResponse:
        while True:
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
            version, status, reason = [*first.split(" ", 2), ""][:3]
            if int(status) >= 200:
                break
            interim.append(head)
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        response = WireResponse(version, int(status), reason, headers, "none", b"", interim=interim, raw_head=head)
        await self._read_body(method, response)
        return response

    async def _read_body(self, method: str, response: WireResponse) -> None:
        if method == "HEAD" or response.status in (204, 304):
            return
        if (response.header("Transfer-Encoding") or "").lower() == "chunked":
            response.framing = "chunked"
            parts = []
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                parts.append(await self._reader.readexactly(size))
                response.chunks.append(size)
                await self._reader.readexactly(2)
            while await self._reader.readuntil(b"\r\n") != b"\r\n":
                pass
            response.body = b"".join(parts)
        elif (length := response.header("Content-Length")) is not None:
            response.framing = "content-length"
            response.body = await self._reader.readexactly(int(length))
        else:
            response.framing = "eof"
            response.body = await self._reader.read()
