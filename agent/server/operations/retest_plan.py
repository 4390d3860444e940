"""When each connection is tested next by the server itself. Pure: the clock and the randomness are given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from agent.server.operations.test_history import Cause

SETTLE_S: Final = 5.0
"""After the last tunnel of an agent came up: its others come within this, and so does a second fall."""

AGAIN_AFTER_S: Final = 60.0
"""A connection is tested for its tunnel once in so long, however often that comes and goes."""

AT_ONCE_MAX: Final = 2


@dataclass(slots=True)
class _Times:
    scheduled: float | None
    tunnel: float | None = None
    tunnel_tested: float = float("-inf")


class RetestPlan:
    """Times are seconds of one clock. ``interval_s`` 0: nothing is tested but by hand; ``uniform`` gives 0 to 1."""

    def __init__(self, interval_s: float, uniform: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._uniform = uniform
        self._times: dict[str, _Times] = {}
        self._running: set[str] = set()

    def keep(self, connection_ids: Collection[str], now: float, tested_at: Mapping[str, float] | None = None) -> None:
        """Plan for these connections and no others.

        A new one comes at a random moment of the next interval, so that the tests are spread evenly; one whose last
        test (``tested_at``) is known comes an interval after it, but never in one heap with all that are overdue.
        """
        for gone in self._times.keys() - set(connection_ids):
            del self._times[gone]
        for connection_id in connection_ids:
            if connection_id not in self._times:
                last = (tested_at or {}).get(connection_id)
                self._times[connection_id] = _Times(self._first(now, last))

    def tunnel_is_back(self, connection_ids: Collection[str], now: float) -> None:
        """A tunnel of the agent of these connections is READY; each further one postpones their test."""
        for connection_id in connection_ids:
            times = self._times.get(connection_id)
            if times is not None and self._interval_s:
                times.tunnel = max(now + SETTLE_S, times.tunnel_tested + AGAIN_AFTER_S)

    def start(self, now: float) -> list[tuple[str, Cause]]:
        """The tests that begin now, those that have waited longest first; call ``done`` for each at its end."""
        waiting: list[tuple[float, str, Cause]] = []
        for connection_id, times in self._times.items():
            if connection_id in self._running:
                continue
            if times.tunnel is not None and times.tunnel <= now:
                waiting.append((times.tunnel, connection_id, "tunnel"))
            elif times.scheduled is not None and times.scheduled <= now:
                waiting.append((times.scheduled, connection_id, "schedule"))
        begun: list[tuple[str, Cause]] = []
        for _, connection_id, cause in sorted(waiting)[: AT_ONCE_MAX - len(self._running)]:
            times = self._times[connection_id]
            if cause == "tunnel":
                times.tunnel, times.tunnel_tested = None, now
            times.scheduled = self._next(now)
            self._running.add(connection_id)
            begun.append((connection_id, cause))
        return begun

    def done(self, connection_id: str) -> None:
        """The test of this connection has ended, however."""
        self._running.discard(connection_id)

    def _first(self, now: float, last: float | None) -> float | None:
        if not self._interval_s:
            return None
        if last is None or last > now or last + self._interval_s <= now:
            return now + self._uniform() * self._interval_s
        return last + self._interval_s

    def _next(self, now: float) -> float | None:
        """An interval later, give or take a tenth: connections that met by chance part again."""
        return now + self._interval_s * (0.9 + 0.2 * self._uniform()) if self._interval_s else None
