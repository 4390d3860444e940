"""A store that counts what it carries out: each request brings a nonce, and the answer gives it back."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Literal

from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest

Framing = Literal["length", "chunked", "eof"]

_NONCE = re.compile(rb"n[0-9]{6}")


class CountingStore(ScriptedStore):
    """``executed`` counts, by nonce, the requests that arrived whole; a read's nonce is its resource's id.

    ``framing`` is how answers end. With ``by_halves`` the body follows only when ``proceed`` is set, so that head and
    body cross a tunnel one after the other.
    """

    def __init__(self, framing: Framing = "length", *, by_halves: bool = False) -> None:
        super().__init__(self._carry_out)
        self.framing: Framing = framing
        self.by_halves = by_halves
        self.proceed = asyncio.Event()
        self.executed: Counter[str] = Counter()

    async def _carry_out(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        nonce = nonce_in(request.body or request.raw_head)
        self.executed[nonce] += 1
        head, body = framed(self.framing, nonce.encode())
        if self.by_halves:
            await connection.send(head)
            await self.proceed.wait()
            await connection.send(body)
        else:
            await connection.send(head + body)
        if self.framing == "eof":
            connection.writer.close()
        return None


def framed(framing: Framing, nonce: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer that gives ``nonce`` back."""
    content = b"<p>" + nonce + b"</p>"
    if framing == "length":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content), content
    if framing == "chunked":
        pieces = (b"<p>" + nonce, b"</p>")
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", content


def nonce_in(message: bytes) -> str:
    """The nonce of a request or of an answer; "" without one. No chunk may end in its middle."""
    found = _NONCE.search(message)
    return found[0].decode() if found is not None else ""
