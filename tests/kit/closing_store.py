"""A store that closes kept connections as PHP hosts do: after some idle seconds, and after some requests, unannounced.

Between its decision and the moment at which its peer can know there is a while, as there is on every real way: what
arrives in it is lost.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tests.kit.counting_store import CountingStore
from tests.kit.scripted_store import StoreConnection, StoreRequest

WAY_S: Final = 0.12


class ClosingStore(CountingStore):
    """``idle_s`` and ``requests_max`` as in Apache's KeepAliveTimeout and MaxKeepAliveRequests."""

    def __init__(self, idle_s: float = 5.0, requests_max: int = 100) -> None:
        super().__init__("length")
        self.idle_s = idle_s
        self.requests_max = requests_max
        self.lost = 0
        self._decided: set[int] = set()
        self._timers: dict[int, asyncio.TimerHandle] = {}

    async def _carry_out(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        timer = self._timers.pop(connection.number, None)
        if connection.number in self._decided:
            self.lost += 1
            await connection.until_gone()
            return None
        assert timer is not None or request.sequence == 0
        if timer is not None:
            timer.cancel()
        await super()._carry_out(request, connection)
        if request.sequence + 1 >= self.requests_max:
            self._decide(connection)
        else:
            later = asyncio.get_running_loop().call_later
            self._timers[connection.number] = later(self.idle_s, self._decide, connection)
        return None

    def _decide(self, connection: StoreConnection) -> None:
        self._decided.add(connection.number)
        asyncio.get_running_loop().call_later(WAY_S, connection.writer.close)
