"""How late the event loop is: what runs in it too long delays everything else."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import Final

EVERY_S: Final = 0.5
KEPT_S: Final = 60.0
"""As long as any usual scrape interval, so that no stall falls between two scrapes."""

_THREAD_TURN_S: Final = 0.0005


def put_loop_first() -> None:
    """Let a thread that writes a log or a database keep the event loop waiting for 0.5 ms, not CPython's 5."""
    sys.setswitchinterval(_THREAD_TURN_S)


class LoopLag:
    """``run`` measures until it is cancelled."""

    def __init__(self, every_s: float = EVERY_S, kept_s: float = KEPT_S) -> None:
        self._every_s = every_s
        self._lags_s: deque[float] = deque(maxlen=max(round(kept_s / every_s), 1))

    @property
    def worst_s(self) -> float:
        """The worst of the last minute, seconds; a loop that stands still now is not in it yet."""
        return max(self._lags_s, default=0.0)

    async def run(self) -> None:
        """Sleep, and see how much later than asked for it ended."""
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + self._every_s
            await asyncio.sleep(self._every_s)
            self._lags_s.append(max(loop.time() - due_at, 0.0))
