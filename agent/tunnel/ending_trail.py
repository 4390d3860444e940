"""How the tunnels and attempts of one index ended: counts by reason, and the last few. Standard library only."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from agent.tunnel.ending import Ending, EndReason

ENDINGS_KEPT: Final = 10


@dataclass(frozen=True, slots=True)
class PastEnding:
    """The same end, ``times`` in a row; ``first_at`` and ``last_at`` are Unix seconds."""

    ending: Ending
    first_at: float
    last_at: float
    times: int = 1


class EndingTrail:
    """``counts`` of all endings since the start; ``last`` of them, the youngest at the end.

    Repetitions are one entry: an outage of a night must not push out what was before it.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.counts: Counter[EndReason] = Counter()
        self.last: deque[PastEnding] = deque(maxlen=ENDINGS_KEPT)

    def __repr__(self) -> str:
        return f"<EndingTrail {self.counts.total()}>"

    def take(self, ending: Ending) -> None:
        """One more has ended."""
        self.counts[ending.reason] += 1
        now = self._now()
        if self.last and self.last[-1].ending.reason is ending.reason:
            before = self.last[-1]
            self.last[-1] = replace(before, ending=ending, last_at=now, times=before.times + 1)
        else:
            self.last.append(PastEnding(ending, now, now))
