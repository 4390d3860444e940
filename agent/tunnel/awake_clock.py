"""Seconds during which this process was awake and could have read what its peers sent. Pure: the clock is injected.

A process that was stopped, starved of CPU, or asleep with its machine has not read what waits in its sockets, so that
the time since the last packet says nothing about the peer. A server stopped for 40 s would drop all of its agents,
whose heartbeats lie in its receive buffers.
"""

from __future__ import annotations

from collections.abc import Callable


class AwakeClock:
    """To be looked at every ``pause_s``; a look that comes late counts as two pauses at most.

    So a stall of any length adds little, the next look sees what the event loop has read meanwhile, and a process that
    is always late still comes to an end: every look counts as one pause at least. ``clock`` is monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float], pause_s: float) -> None:
        self._clock = clock
        self._step_max_s = 2 * pause_s
        self._looked_at = clock()
        self.awake_s = 0.0

    def __repr__(self) -> str:
        return f"<AwakeClock {self.awake_s:.3f} s>"

    def look(self) -> float:
        """Seconds awake since the clock was made."""
        now = self._clock()
        self.awake_s += min(max(now - self._looked_at, 0.0), self._step_max_s)
        self._looked_at = now
        return self.awake_s
