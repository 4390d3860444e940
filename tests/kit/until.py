"""Waiting for something that has no event of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Return when ``condition()`` is true; ``TimeoutError`` when it does not become so."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - for what has no event: see the module's docstring
            await asyncio.sleep(0.005)
