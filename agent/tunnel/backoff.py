"""How long to wait before the next attempt. Pure: clock and randomness come from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.tunnel.ending import Ending, EndReason

_DOUBLINGS_MAX = 32


@dataclass(frozen=True, slots=True)
class BackoffLimits:
    """Times in seconds.

    Full jitter: the n-th wait is uniform in 0 .. ``first_s`` * 2^n, at most ``cap_s``. It starts anew only after
    ``reset_after_s`` READY, so that a server which accepts and drops is not hammered. A server's hint is obeyed up to
    ``hint_max_s`` and spread over ``hint_spread`` of itself. Two evictions within ``evictions_within_s`` mean two
    machines with one identity. One whose place is taken looks again within ``place_taken_s``, sooner than others of the
    slow lane: it may be the spare, and the server keeps requests for 45 s when the holder of the place drains.
    """

    first_s: float = 0.5
    cap_s: float = 60.0
    reset_after_s: float = 30.0
    hint_max_s: float = 300.0
    hint_spread: float = 0.5
    evictions_within_s: float = 60.0
    place_taken_s: float = 30.0


class Backoff:
    """The waits of one tunnel; ``clock`` is monotonic seconds, ``randomness`` gives 0 <= x < 1."""

    def __init__(self, limits: BackoffLimits, clock: Callable[[], float], randomness: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._randomness = randomness
        self._failures = 0
        self._ready_since: float | None = None
        self._evicted_at: float | None = None

    def __repr__(self) -> str:
        return f"<Backoff failures={self._failures}>"

    @property
    def failures(self) -> int:
        """Ends since the last 30 s of READY."""
        return self._failures

    def ready(self) -> None:
        """The tunnel is up."""
        self._ready_since = self._clock()

    def restart(self) -> None:
        """What failed so far happened in another world (before a suspend, say): the bounds begin anew."""
        self._failures = 0

    def is_slow(self, ending: Ending) -> bool:
        """True when this end leads to the slow lane; a second eviction within 60 s does, too."""
        now = self._clock()
        if ending.reason is not EndReason.REPLACED:
            return ending.reason.needs_a_person
        again = self._evicted_at is not None and now - self._evicted_at <= self._limits.evictions_within_s
        self._evicted_at = now
        return again

    def wait_s(self, ending: Ending, *, slow: bool) -> float:
        """Seconds until the next attempt. The slow lane waits between half the cap and the cap."""
        limits = self._limits
        if self._ready_since is not None and self._clock() - self._ready_since >= limits.reset_after_s:
            self._failures = 0
        hint_s = None if ending.hint_s is None else min(max(ending.hint_s, 0.0), limits.hint_max_s)
        if self._ready_since is not None and hint_s is not None and hint_s >= limits.first_s:
            self._failures = 0  # a goodbye with a time to come back is no failure, however often a server is restarted
        self._ready_since = None
        chance = self._randomness()
        if slow:
            taken = ending.reason is EndReason.PLACE_TAKEN
            cap_s = min(limits.cap_s, limits.place_taken_s) if taken else limits.cap_s
            wait_s = cap_s * (0.5 + chance / 2)
        else:
            wait_s = chance * min(limits.cap_s, limits.first_s * 2.0 ** min(self._failures, _DOUBLINGS_MAX))
        self._failures += 1
        if hint_s is not None:
            wait_s = max(wait_s, hint_s * (1 + chance * limits.hint_spread))  # never sooner than without the hint
        return wait_s
