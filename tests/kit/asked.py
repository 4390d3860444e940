"""A request with a nonce, what became of it, and whether that may be: for tests that break things on its way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent.response_reader import ResponseReader
from tests.kit.cluster import CLIENT_KEY
from tests.kit.counting_store import Framing, framed, nonce_in
from tests.kit.raw_client import RawClient, basic

Shape = Literal["get", "delete", "post", "chunked"]

PATIENCE_S = 20.0
READS_MAX = 3  # how often the gateway sends a read
_REQUEST_ID = re.compile(rb"\br[0-9]{7}\b")


@dataclass(frozen=True)
class Asked:
    """One request as the client sends it."""

    nonce: str
    request_id: str
    raw: bytes
    is_read: bool

    @classmethod
    def new(cls, shape: Shape, number: int, slug: bytes = b"s", key: str = CLIENT_KEY) -> Asked:
        """The ``number``-th request; all of one shape have the same length."""
        nonce = f"n{number:06}"
        request_id = f"r{number:07}"
        fields = b"Host: g\r\nX-Request-Id: " + request_id.encode() + b"\r\n" + basic(key)
        if shape in ("get", "delete"):
            raw = b"%b /%b/api/a/%b HTTP/1.1\r\n%b\r\n" % (shape.upper().encode(), slug, nonce.encode(), fields)
            return cls(nonce, request_id, raw, is_read=shape == "get")
        if shape == "post":
            body = b"<x>" + nonce.encode() + b"</x>"
            fields += b"Content-Length: %d\r\n" % len(body)
        else:
            body = b"3\r\n<x>\r\nb\r\n" + nonce.encode() + b"</x>\r\n0\r\n\r\n"
            fields += b"Transfer-Encoding: chunked\r\n"
        raw = b"POST /%b/api/a HTTP/1.1\r\n%b\r\n%b" % (slug, fields, body)
        return cls(nonce, request_id, raw, is_read=False)


@dataclass
class Outcome:
    """What a client got: ``how`` says whether its answer was whole, or how it ended before that."""

    how: Literal["whole", "reset", "ended early"]
    status: int = 0
    head: bytes = b""
    body: bytes = b""
    error: str = ""


async def ask(port: int, asked: Asked, on_bytes: Callable[[], None] = lambda: None) -> Outcome:
    """Send the request over a connection of its own and take what comes; ``on_bytes`` is called at each piece."""
    received = bytearray()
    reader = ResponseReader(lambda head: head.raw, to_head=False)
    how: Literal["whole", "reset", "ended early"] = "ended early"
    async with RawClient(port) as client, asyncio.timeout(PATIENCE_S):
        try:
            await client.send(asked.raw)
            while not reader.done:
                data = await client.reader.read(65536)
                if not data:
                    break
                on_bytes()
                received += data
                reader.feed(data)
            if reader.done or (reader.head is not None and reader.eof()):
                how = "whole"
        except ConnectionResetError:
            how = "reset"
    head = reader.head
    if head is None:
        return Outcome(how, body=bytes(received))
    error = re.search(rb'details="([a-z_]+)"', head.raw)
    return Outcome(how, head.status, head.raw, bytes(received[len(head.raw) :]), error[1].decode() if error else "")


def judge(asked: Asked, outcome: Outcome, executed: int, framing: Framing) -> str:
    """The name of this outcome: 200, reset, or that of an error. Raises ``AssertionError`` for one that must not be.

    ``executed`` is how often the request arrived whole at the store.
    """
    assert executed <= (READS_MAX if asked.is_read else 1), f"{asked.nonce} was executed {executed} times"
    if outcome.how == "reset":
        assert outcome.status in (0, 200), outcome
        assert nonce_in(outcome.body) in ("", asked.nonce), outcome
        assert executed, "an answer came, so it was executed"
        return "reset"
    assert outcome.how == "whole", f"a clean end of a truncated answer: {outcome}"
    assert b"X-Request-Id: " + asked.request_id.encode() in outcome.head, outcome
    if not outcome.error:
        assert outcome.status == 200, outcome
        assert outcome.body == framed(framing, asked.nonce.encode())[1], outcome
        assert executed, "an answer came, so it was executed"
        return "200"
    assert (outcome.status, outcome.error) in ((502, "tunnel_lost"), (502, "store_bad_response")), outcome
    assert (b"outcome: unknown" in outcome.body) is not asked.is_read, outcome
    if not asked.is_read:
        assert _REQUEST_ID.findall(outcome.body) == [asked.request_id.encode()], outcome
    return outcome.error
