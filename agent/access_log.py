"""The access log off the hot path: exchanges are noted in the loop, and written in batches by a thread of its own.

Whatever the disk does, no exchange waits: what finds no room is counted and said once.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from agent.access_files import AccessFiles
from agent.access_line import access_line
from agent.forward.context import ExchangeRecord

FLUSH_EVERY_S: Final = 0.2
SWEEP_EVERY_S: Final = 3600.0
WAITING_MAX: Final = 5000
"""Exchanges that may wait for the disk, beside a batch that is being written: some megabytes at most."""

CLOSE_MAX_S: Final = 2.0

Noted = tuple[float, ExchangeRecord]

_log = structlog.get_logger("agent")


class AccessLog:
    """Writes to ``files``, or, when that is None, nothing; to be opened inside the event loop.

    ``lost`` counts the exchanges since the start that could not be written down.
    """

    def __init__(self, files: AccessFiles | None, now: Callable[[], float] = time.time) -> None:
        self.lost = 0
        self._files = files
        self._now = now
        self._waiting: list[Noted] = []
        self._is_writing = False
        self._lost_before = 0  # what had been lost when writing failed first
        self._is_failing = False
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[list[Noted] | None] = queue.SimpleQueue()
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<AccessLog waiting={len(self._waiting)} lost={self.lost}>"

    def open(self) -> None:
        """Begin; old files are swept at once, and then every hour."""
        if self._files is None:
            return
        self._loop = asyncio.get_running_loop()
        # A daemon: a disk that hangs must not keep the process from ending.
        threading.Thread(target=self._work, args=(self._files,), name="access-log", daemon=True).start()
        self._sweep()

    def note(self, record: ExchangeRecord) -> None:
        """Write ``record`` down soon."""
        if self._loop is None:
            return
        if len(self._waiting) >= WAITING_MAX:
            self.lost += 1
            return
        self._waiting.append((self._now(), record))
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_EVERY_S, self._flush)

    async def close(self) -> None:
        """Write what waits, for two seconds at most, and end."""
        if self._loop is None:
            return
        for timer in (self._timer, self._sweeping):
            if timer is not None:
                timer.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_MAX_S):
                await self._idle.wait()
                self._flush()
                await self._idle.wait()
        self._loop = None
        self._batches.put(None)

    # -- in the loop ---------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._timer = None
        if self._is_writing or not self._waiting:
            return  # _written comes back to it
        batch, self._waiting = self._waiting, []
        self._hand_over(batch)

    def _sweep(self) -> None:
        if self._loop is not None:
            self._sweeping = self._loop.call_later(SWEEP_EVERY_S, self._sweep)
        if not self._is_writing:
            self._hand_over([])

    def _hand_over(self, batch: list[Noted]) -> None:
        self._is_writing = True
        self._idle.clear()
        self._batches.put(batch)

    def _written(self, count: int, error: Exception | None) -> None:
        self._is_writing = False
        self._idle.set()
        if error is not None:
            if not self._is_failing:
                self._is_failing, self._lost_before = True, self.lost
                cause = error.strerror if isinstance(error, OSError) else type(error).__name__
                _log.warning(
                    "access_log.failing",
                    directory=str(self._files.directory) if self._files is not None else "",
                    detail=f"{cause}: make room, or give it to the agent's user; meanwhile requests go on unrecorded",
                )
            self.lost += count
        elif self._is_failing and count:
            self._is_failing = False
            _log.warning("access_log.resumed", lost=self.lost - self._lost_before)
        if self._waiting and self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(FLUSH_EVERY_S, self._flush)

    # -- in the thread -------------------------------------------------------------------------------------------

    def _work(self, files: AccessFiles) -> None:
        while (batch := self._batches.get()) is not None:
            error: Exception | None = None
            try:
                if batch:
                    files.write((at, access_line(at, record)) for at, record in batch)
                else:
                    files.sweep(datetime.fromtimestamp(self._now(), UTC).date())
            except Exception as met:  # noqa: BLE001 - a defect, too, must not end the thread
                error = met
            loop, count = self._loop, len(batch)
            if loop is None:
                break
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._written, count, error)
        files.close()
