"""A deadline that is cheap to move: one timer per owner, which looks at the clock again before it fires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls ``expired`` once when the time set last has passed.

    Moving it later is one assignment; no timer is made or cancelled per exchange, which matters on the hot path.
    """

    __slots__ = ("_at", "_expired", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_s: float) -> None:
        """Expire ``delay_s`` from now, instead of whenever it was."""
        at = self._loop.time() + delay_s
        self._at = at
        timer = self._timer
        if timer is None:
            self._timer = self._loop.call_at(at, self._look)
        elif timer.when() > at:
            timer.cancel()
            self._timer = self._loop.call_at(at, self._look)

    def clear(self) -> None:
        """Do not expire. The timer stays: it finds nothing to do."""
        self._at = None

    def close(self) -> None:
        """Let go of the timer."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        at = self._at
        if at is None:
            return
        if self._loop.time() < at:
            self._timer = self._loop.call_at(at, self._look)
            return
        self._at = None
        self._expired()
