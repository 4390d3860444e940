"""Work that is worth something only to who asked for it: it ends when they hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from agent.server.operations.failures import ConflictError

T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the caller's connection ends; then ConflictError.

    The body of ``request`` must have been read. Nobody gets that error but a log: there is nobody left to be told.
    """
    doing = asyncio.create_task(work, name="asked-for")
    gone = asyncio.create_task(_gone(request), name="caller-gone")
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ConflictError("Whoever asked has hung up: what was asked for was broken off.")
        return doing.result()
    finally:
        doing.cancel()
        gone.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
