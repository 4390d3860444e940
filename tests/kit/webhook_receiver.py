"""A receiver of webhooks on loopback, with TLS: keeps what came, and answers as a script says."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.kit.certificates import CertificateAuthority

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
SILENCE = b""
"""No answer; the connection stays open."""
CLOSE = b"close"
"""The connection is closed without an answer."""


def answer(status: int, *fields: str) -> bytes:
    """A head with this status, without a body."""
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *fields, "Content-Length: 0", "", ""]).encode()


@dataclass(frozen=True)
class Received:
    """One request; field names in lower case."""

    line: str
    fields: dict[str, str]
    body: bytes


class WebhookReceiver:
    """``answers`` are used up one by one, then ``OK``. A connection stays open until the sender closes it."""

    def __init__(self, ca_file: Path) -> None:
        self.ca_file = ca_file
        self.answers: deque[bytes] = deque()
        self.received: list[Received] = []
        self.closed = 0  # connections that the sender has closed
        self.port = 0
        self._news = asyncio.Event()

    def url(self, path: str = "/hook") -> str:
        """The URL of a hook here."""
        return f"https://127.0.0.1:{self.port}{path}"

    def client_tls(self) -> ssl.SSLContext:
        """TLS that trusts this receiver."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    async def wait_for(self, count: int, timeout_s: float = 20.0) -> None:
        """Until so many requests have come."""
        async with asyncio.timeout(timeout_s):
            while len(self.received) < count:
                self._news.clear()
                await self._news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await reader.readexactly(int(fields["content-length"]))
            said = self.answers.popleft() if self.answers else OK
            self.received.append(Received(head[0], fields, body))
            self._news.set()
            if said != CLOSE:
                writer.write(said)
                await reader.read()
                self.closed += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed += 1
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def webhook_receiver(folder: Path) -> AsyncIterator[WebhookReceiver]:
    """A receiver with a certificate for 127.0.0.1 that a CA of its own has signed."""
    authority = CertificateAuthority(folder, "Hook CA")
    receiver = WebhookReceiver(authority.ca_file)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=authority.server_context("127.0.0.1"))
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
