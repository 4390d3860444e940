"""How many connection tests run at once: few in all, and one of each connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from agent.server.operations.failures import ConflictError

AT_ONCE_MAX: Final = 4

WAIT_MAX_S: Final = 60.0
"""Longer than any test takes (40 s): who waits for so long stands behind a whole crowd."""


class TestPlaces:
    """Places for tests of this server."""

    __test__ = False  # the name is the product's, not pytest's

    def __init__(self, wait_max_s: float = WAIT_MAX_S) -> None:
        self._places = asyncio.Semaphore(AT_ONCE_MAX)
        self._wait_max_s = wait_max_s
        self._running: set[str] = set()

    @contextlib.asynccontextmanager
    async def one(self, connection_id: str) -> AsyncIterator[None]:
        """A place, perhaps after a wait; "" is for connections that are not saved.

        Raises ConflictError while this one is being tested, and when no place is free in time.
        """
        if connection_id and connection_id in self._running:
            raise ConflictError("This connection is being tested right now: wait for the outcome.")
        self._running.add(connection_id)
        try:
            await self._place()
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._running.discard(connection_id)

    async def _place(self) -> None:
        try:
            async with asyncio.timeout(self._wait_max_s):
                await self._places.acquire()
        except TimeoutError:
            raise ConflictError(
                f"The server makes {AT_ONCE_MAX} tests at once, and none of them ended within {self._wait_max_s:g} s: "
                "test again in a minute."
            ) from None
