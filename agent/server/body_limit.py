"""A limit on request bodies of the panel's listener, so that nobody fills the memory of the server."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server.api.problems import Problem

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
"""An import of some thousand connections fits."""


class BodyLimit:
    """ASGI middleware: 413 for a body that is announced or comes longer than ``limit_bytes``.

    The rest of such a body is read and dropped by the listener, as long as a request may take: who is cut off while
    still sending never sees the answer.
    """

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
        is_answered = is_refused = False

        async def counted() -> Message:
            nonlocal seen, is_refused
            if is_refused:
                return {"type": "http.disconnect"}
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= self._limit_bytes:
                return message
            is_refused = True
            if not is_answered:
                await self._refuse(scope, receive, send)
            return {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            nonlocal is_answered
            if not is_refused:
                is_answered = True
                await send(message)

        await self._app(scope, counted, unless_refused)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body is longer than {self._limit_bytes} bytes: send less at once."
        await Problem(413, "body_too_large", detail)(scope, receive, send)
