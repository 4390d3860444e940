"""A token bucket: so many requests a minute, some of them at once. Pure: the clock is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BURST_S: Final = 10.0
"""An idle store lets so many seconds' worth of requests through at once: integrations come in bursts."""


class TokenBucket:
    """Lets ``per_minute`` requests a minute through, at most a sixth of them (and at least one) at once.

    ``clock`` gives monotonic seconds.
    """

    __slots__ = ("_burst", "_clock", "_filled_at", "_per_s", "_tokens", "per_minute")

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._per_s = per_minute / 60.0
        self._burst = max(1.0, self._per_s * BURST_S)
        self._clock = clock
        self._tokens = self._burst
        self._filled_at = clock()

    def __repr__(self) -> str:
        return f"<TokenBucket {self.per_minute}/min, {self._tokens:.1f} of {self._burst:.1f}>"

    def take(self) -> float:
        """0.0: the request may pass, and was counted. Else the seconds until one may; nothing was counted."""
        now = self._clock()
        tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._per_s)
        self._filled_at = now
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / self._per_s
