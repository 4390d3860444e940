"""Plain numbers of the exchanges that ended, store by store, and the last of them. Hot path: integers, no I/O.

Whoever exports them reads them; nothing here knows a metrics library.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.forward.context import ExchangeRecord
from agent.policy import METHODS

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the durations that are counted together, seconds."""

OTHER_METHOD: Final = "other"
EXCHANGES_KEPT: Final = 20
FAILURES_KEPT: Final = 20

_METHODS: Final = frozenset(METHODS)

PastExchange = tuple[float, ExchangeRecord]
"""When it ended (Unix seconds), and what it was."""


class StoreTally:
    """The numbers of one store.

    ``answers`` are by method and first digit of the status (0: cut without one), ``errors`` by name, ``durations``
    counted by ``BOUNDS_S`` with a last count for what is above them.
    """

    __slots__ = ("answers", "bytes_from_store", "bytes_to_store", "durations", "errors", "total_s")

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int], int] = {}
        self.errors: dict[str, int] = {}
        self.durations = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0
        self.bytes_to_store = 0
        self.bytes_from_store = 0

    @property
    def ended(self) -> int:
        """Exchanges that ended."""
        return sum(self.durations)

    @property
    def failed(self) -> int:
        """Those of them without a whole answer of the store."""
        return sum(self.errors.values())


class ExchangeTally:
    """Counts since the start. ``stores`` are named as the log names them; "" stands for what named no open store."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.stores: dict[str, StoreTally] = {}
        self.last: deque[PastExchange] = deque(maxlen=EXCHANGES_KEPT)
        self.last_failed: deque[PastExchange] = deque(maxlen=FAILURES_KEPT)

    def __repr__(self) -> str:
        return f"<ExchangeTally stores={len(self.stores)}>"

    def take(self, record: ExchangeRecord) -> None:
        """One exchange has ended."""
        tally = self.stores.get(record.store)
        if tally is None:
            tally = self.stores[record.store] = StoreTally()
        # A method that was refused is whatever the other side sent, and must not become a series of its own.
        key = (record.method if record.method in _METHODS else OTHER_METHOD, record.status // 100)
        tally.answers[key] = tally.answers.get(key, 0) + 1
        tally.durations[bisect_left(BOUNDS_S, record.elapsed_s)] += 1
        tally.total_s += record.elapsed_s
        tally.bytes_to_store += record.bytes_to_store
        tally.bytes_from_store += record.bytes_from_store
        past = (self._now(), record)
        self.last.append(past)
        if record.error:
            tally.errors[record.error] = tally.errors.get(record.error, 0) + 1
            self.last_failed.append(past)
