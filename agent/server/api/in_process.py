"""Calling an ASGI application in this process, for commands without a running server."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

_PIECE_BYTES: Final = 256 * 1024


async def call_in_process(
    app: ASGIApp,
    method: str,
    path: str,
    fields: Mapping[str, str],
    body: bytes | BinaryIO,
    into: BinaryIO | None = None,
) -> tuple[int, bytes]:
    """One request; status and body. What the application raises beyond its own answer is dropped with it.

    A file as ``body`` is sent in pieces; the body of a success (2xx) goes to ``into`` where that is given.
    """
    status = 0
    answer = bytearray()
    content = io.BytesIO(body) if isinstance(body, bytes) else body

    sent = asyncio.Event()

    async def receive() -> Message:
        if sent.is_set():  # a caller in this process never hangs up
            await asyncio.Event().wait()
        piece = content.read(_PIECE_BYTES)
        if not piece:
            sent.set()
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            piece = message.get("body", b"")
            if into is not None and 200 <= status < 300:
                into.write(piece)
            else:
                answer.extend(piece)

    target, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(target),
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        "client": None,
        "server": ("localhost", None),
    }
    try:
        await app(scope, receive, send)
    except Exception:  # once an answer has begun it counts, as it does over a socket
        if not status:
            raise
    return status, bytes(answer)
