"""Parts of a page that follow what happens, by server-sent events (HTML Living Standard, 9.2)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.responses import Response, StreamingResponse

from agent.server.operations.failures import OperationError
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.sessions import find_session
from agent.server.panel.visitor import Visitor
from agent.server.panel_gate import SESSION_COOKIE

EVERY_S: Final = 2.0
CHECK_AGAIN_S: Final = 15.0
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
    session = visitor.session.shown_id
    if _open.total() >= STREAMS_MAX or _open[session] >= PER_SESSION_MAX:
        return Response(status_code=204)  # by which a browser is told not to come again
    return StreamingResponse(_events(visitor, render, permission), media_type="text/event-stream")


async def _events(visitor: Visitor, render: Callable[[], Awaitable[str]], permission: Permission) -> AsyncIterator[str]:
    session = visitor.session.shown_id
    _open[session] += 1
    began = checked = time.monotonic()
    before = ""
    try:
        while time.monotonic() - began < LIFETIME_S:
            if time.monotonic() - checked >= CHECK_AGAIN_S:
                checked = time.monotonic()
                if not await _may_go_on(visitor, permission):
                    return
            text = await render()
            if text != before:
                before = text
                yield "event: update\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
            else:
                yield ": \n\n"  # so that a browser that left is noticed
            await asyncio.sleep(EVERY_S)
    except OperationError:
        return  # what the page shows was deleted
    finally:
        _open[session] -= 1
        if not _open[session]:
            del _open[session]


async def _may_go_on(visitor: Visitor, permission: Permission) -> bool:
    session = await find_session(visitor.plane, visitor.request.cookies.get(SESSION_COOKIE, ""))
    return session is not None and Principal("", session.role).may(permission)
