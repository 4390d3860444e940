"""Parts of a page that follow what happens, by server-sent events (HTML Living Standard, 9.2)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from agent.server.operations.failures import OperationError
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.sessions import find_session
from agent.server.panel.visitor import Visitor
from agent.server.panel_gate import SESSION_COOKIE
from agent.server.server_sent_events import KEEP_ALIVE, MEDIA_TYPE, event_text

EVERY_S: Final = 2.0
"""How often it is looked at, and within what time the stream of somebody who may look no more ends."""

STREAMS_MAX: Final = 60
PER_SESSION_MAX: Final = 6
LIFETIME_S: Final = 3600.0
"""Then the browser asks again by itself."""

_open: Final[Counter[str]] = Counter()


def live_fragment(
    visitor: Visitor, render: Callable[[], Awaitable[str]], permission: Permission = Permission.STATUS_READ
) -> Response:
    """The fragment that ``render`` makes, sent when it has changed; looked at every 2 s.

    Nothing is queued: a browser that is slow gets the newest. The stream ends with the session, or the right to it.
    """
    return _Stream(visitor.session.shown_id, _events(visitor, render, permission))


class _Stream(StreamingResponse):
    """One stream; it is counted from before its first byte, so that many at once are not all let in."""

    def __init__(self, session: str, events: AsyncIterator[str]) -> None:
        super().__init__(events, media_type=MEDIA_TYPE)
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or 204, by which a browser is told not to come again, when too many are open."""
        if _open.total() >= STREAMS_MAX or _open[self._session] >= PER_SESSION_MAX:
            await Response(status_code=204)(scope, receive, send)
            return
        _open[self._session] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            _open[self._session] -= 1
            if not _open[self._session]:
                del _open[self._session]


async def _events(visitor: Visitor, render: Callable[[], Awaitable[str]], permission: Permission) -> AsyncIterator[str]:
    began = time.monotonic()
    before = ""
    try:
        while time.monotonic() - began < LIFETIME_S:
            text = await render()
            if text != before:
                before = text
                yield event_text("update", text)
            else:
                yield KEEP_ALIVE  # so that a browser that left is noticed
            await asyncio.sleep(EVERY_S)
            if not await _may_go_on(visitor, permission):
                return
    except OperationError:
        return  # what the page shows was deleted


async def _may_go_on(visitor: Visitor, permission: Permission) -> bool:
    session = await find_session(visitor.plane, visitor.request.cookies.get(SESSION_COOKIE, ""))
    return session is not None and Principal("", session.role).may(permission)
