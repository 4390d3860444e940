"""A limit on request bodies of the panel's listener, so that nobody fills the memory of the server."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server.api.problems import Problem

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
"""An import of some thousand connections fits."""


class BodyLimit:
    """ASGI middleware: 413 for a body that is announced or comes longer than ``limit_bytes``."""

    def __init__(self, app: ASGIApp, limit_bytes: int = BODY_MAX_BYTES) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless it is too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limit_bytes:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit_bytes:  # nobody waits for the rest: the connection ends
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body is longer than {self._limit_bytes} bytes: send less at once."
        await Problem(413, "body_too_large", detail)(scope, receive, send)
