"""Where finished log lines go: most of them at once, those of exchanges in batches, all of them in their order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

from agent.shown_time import shown_second

BATCH_EVERY_S: Final = 0.05
BATCH_MAX_CHARS: Final = 65_536


class LogLines:
    """The end of the chain of processors. A closed or full stream never stops the program.

    Lines of ``soon`` wait for each other, for 50 ms and 64 KiB at most: one write to the kernel costs as much as
    everything else about a line. One that follows no other within that time is written at once. ``clock`` gives
    seconds that never go back, ``now`` Unix seconds.
    """

    def __init__(
        self, stream: TextIO, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._due = 0.0  # until then a timer is on its way that writes what waits
        self._written_at = 0.0

    def __repr__(self) -> str:
        return f"<LogLines waiting={len(self._waiting)}>"

    def msg(self, line: str) -> None:
        """Write ``line`` now, behind those that wait."""
        with self._lock:
            self._waiting.append(line)
            self._write()

    debug = info = warning = warn = error = critical = exception = fatal = log = msg

    def soon(self, fields: str) -> None:
        """Write a JSON line of level INFO with ``fields`` (``"event": "...", ...``) in a moment."""
        at = self._now()
        second = int(at)
        micros = int((at - second) * 1_000_000)
        line = f'{{"time": "{shown_second(second)}.{micros:06d}Z", "level": "info", {fields}}}'
        with self._lock:
            self._waiting.append(line)
            self._waiting_chars += len(line)
            moment = self._clock()
            if self._waiting_chars < BATCH_MAX_CHARS:
                if moment < self._due:
                    return
                if moment < self._written_at + BATCH_EVERY_S and self._has_timer():
                    self._due = moment + BATCH_EVERY_S
                    return
            self._written_at = moment
            self._write()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._waiting:
                self._written_at = self._clock()
                self._write()

    def _has_timer(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread, or a command without a loop: nobody would come back to it
            return False
        loop.call_later(BATCH_EVERY_S, self.flush)
        return True

    def _write(self) -> None:
        lines, self._waiting = self._waiting, []
        self._waiting_chars = 0
        self._due = 0.0
        lines.append("")
        try:
            self._stream.write("\n".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            return
