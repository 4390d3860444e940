"""How many exchanges of one connection run at a time, and who waits: so that no connection delays another."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from agent.errors import ConnectionBusy, ExchangeError


class Applicant(Protocol):
    """An exchange that wants to run."""

    def admitted(self) -> None:
        """It may run now, and must ``leave`` when it is over."""

    def refused(self, error: ExchangeError) -> None:
        """It may not."""


class Admission:
    """Concurrency and queue of one connection.

    ``concurrency`` exchanges run, ``queue_max`` wait in order, each for at most ``queue_s`` seconds.
    """

    __slots__ = ("_loop", "_queue", "_queue_max", "_queue_s", "_timer", "concurrency", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop, concurrency: int, queue_max: int, queue_s: float) -> None:
        self._loop = loop
        self._queue: deque[tuple[float, Applicant]] = deque()
        self._queue_max = queue_max
        self._queue_s = queue_s
        self._timer: asyncio.TimerHandle | None = None
        self.concurrency = concurrency
        self.running = 0

    def __repr__(self) -> str:
        return f"<Admission {self.running}/{self.concurrency} running, {len(self._queue)} waiting>"

    @property
    def waiting(self) -> int:
        """Exchanges in the queue."""
        return len(self._queue)

    def enter(self, applicant: Applicant) -> None:
        """Run, wait, or be refused; told by a callback, perhaps at once."""
        if self.running < self.concurrency and not self._queue:
            self.running += 1
            applicant.admitted()
            return
        if len(self._queue) >= self._queue_max:
            applicant.refused(ConnectionBusy(f"{self._queue_max} requests are waiting already."))
            return
        deadline = self._loop.time() + self._queue_s
        self._queue.append((deadline, applicant))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._expire)

    def withdraw(self, applicant: Applicant) -> None:
        """One that waits has lost interest."""
        for entry in self._queue:
            if entry[1] is applicant:
                self._queue.remove(entry)
                return

    def leave(self) -> None:
        """One that ran is over: the next comes in."""
        self.running -= 1
        self._let_in()

    def widen(self, concurrency: int) -> None:
        """The connection's setting has changed."""
        self.concurrency = concurrency
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self.running < self.concurrency:
            _, applicant = self._queue.popleft()
            self.running += 1
            applicant.admitted()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            _, applicant = self._queue.popleft()
            applicant.refused(ConnectionBusy(f"It waited {self._queue_s:g} s for its turn."))
        if self._queue:
            self._timer = self._loop.call_at(self._queue[0][0], self._expire)
