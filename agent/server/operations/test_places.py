"""How many connection tests run at once: few in all, and one of each connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from agent.server.operations.failures import ConflictError

AT_ONCE_MAX: Final = 4


class TestPlaces:
    """Places for tests of this server."""

    __test__ = False  # the name is the product's, not pytest's

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE_MAX)
        self._running: set[str] = set()

    @contextlib.asynccontextmanager
    async def one(self, connection_id: str) -> AsyncIterator[None]:
        """A place; "" is for connections that are not saved. Raises ConflictError while this one is being tested."""
        if connection_id and connection_id in self._running:
            raise ConflictError("This connection is being tested right now: wait for the outcome.")
        self._running.add(connection_id)
        try:
            async with self._places:
                yield
        finally:
            self._running.discard(connection_id)
