"""File writes off the event loop, one after the other: a disk that hangs must stop no exchange and no heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Final

CLOSE_MAX_S: Final = 2.0

_Call = tuple[Callable[[], None], asyncio.Future[None]]


class DiskThread:
    """One thread, begun by the first call of ``ask``. What was asked first is done first, also when nobody waits."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<DiskThread waiting={self._calls.qsize()}>"

    def ask(self, call: Callable[[], None]) -> asyncio.Future[None]:
        """Have ``call`` done, also when what is returned is cancelled; that ends with what ``call`` raises."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._thread is None:
            # A daemon: a disk that hangs must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name="disk", daemon=True)
            self._thread.start()
        self._calls.put((call, done))
        return done

    async def close(self) -> None:
        """Wait for what was asked, for two seconds at most, and end."""
        if self._thread is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_MAX_S):
                    await self.ask(lambda: None)
            self._calls.put(None)

    def _work(self) -> None:
        while (asked := self._calls.get()) is not None:
            call, done = asked
            error: Exception | None = None
            try:
                call()
            except Exception as met:  # noqa: BLE001 - it is raised where it was asked for
                error = met
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                done.get_loop().call_soon_threadsafe(_end, done, error)


def _end(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return  # cancelled
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(None)
