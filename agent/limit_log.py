"""Log lines about requests over a store's limit: the first one, then one a minute with how many there were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

EVERY_S: Final = 60.0

_log = structlog.get_logger("agent")


class LimitLog:
    """Counts and tells; silent again after a minute without any."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __repr__(self) -> str:
        return f"<LimitLog {self._counts}>"

    def of(self, store: str) -> Callable[[], None]:
        """What is called for each request to ``store`` that was held back."""
        return partial(self._note, store)

    def close(self) -> None:
        """Tell nothing any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _note(self, store: str) -> None:
        if store in self._timers:
            self._counts[store] += 1
            return
        _log.warning("store.limited", store=store, detail="max_requests_per_minute is reached; summed up each minute")
        self._counts[store] = 0
        self._wait(store)

    def _wait(self, store: str) -> None:
        self._timers[store] = asyncio.get_running_loop().call_later(EVERY_S, self._sum_up, store)

    def _sum_up(self, store: str) -> None:
        count, self._counts[store] = self._counts[store], 0
        if count:
            _log.warning("store.limited", store=store, requests=count, in_the_last_s=EVERY_S)
            self._wait(store)
        else:
            del self._timers[store], self._counts[store]
