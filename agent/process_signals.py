"""What the signals of a running agent ask for: stop, leave at once, read the settings anew."""

from __future__ import annotations

import asyncio
import signal


class ProcessSignals:
    """Signals as events; to be made inside the event loop. ``stopped_by`` is the last one that said stop."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.leave = asyncio.Event()
        self.reload = asyncio.Event()
        self.stopped_by = signal.SIGTERM

    def __repr__(self) -> str:
        return f"<ProcessSignals stop={self.stop.is_set()} leave={self.leave.is_set()}>"

    def listen(self) -> None:
        """From now on: SIGTERM and SIGINT stop, a second of them leaves at once, SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _asked_to_stop(self, number: signal.Signals) -> None:
        if self.stop.is_set():
            self.leave.set()
        self.stopped_by = number
        self.stop.set()
