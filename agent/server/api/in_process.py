"""Calling an ASGI application in this process, for commands without a running server."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message


async def call_in_process(
    app: ASGIApp, method: str, path: str, fields: dict[str, str], body: bytes
) -> tuple[int, bytes]:
    """One request; status and body. What the application raises beyond its own answer is dropped with it."""
    status = 0
    answer = bytearray()

    sent = asyncio.Event()

    async def receive() -> Message:
        if sent.is_set():  # a caller in this process never hangs up
            await asyncio.Event().wait()
        sent.set()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            answer.extend(message.get("body", b""))

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
