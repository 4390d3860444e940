"""How many exchanges a tunnel carries, now and lately. Pure: the caller brings the time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

HALF_LIFE_S: Final = 600.0
"""A peak counts half after ten minutes: a job that comes again by then finds channels for half of it, at least."""


class Carrier(Protocol):
    """What channels belong to: ``in_flight`` exchanges have one or wait for one. The pool of the channels writes it."""

    in_flight: int


@dataclass(slots=True)
class Uncompared:
    """A carrier that nobody has to choose."""

    in_flight: int = 0


class Demand:
    """The most exchanges at once in one tunnel, a number that decays; an agent's tunnels share it.

    It stays when a tunnel goes, so that the next one can be prepared for what comes back with it.
    """

    __slots__ = ("_at", "_most")

    def __init__(self) -> None:
        self._most = 0.0
        self._at = 0.0

    def __repr__(self) -> str:
        return f"<Demand {self._most:.1f} at {self._at:.0f}>"

    @property
    def is_known(self) -> bool:
        """True once an exchange was seen, however long ago."""
        return self._most > 0

    def note(self, most: int, now: float) -> None:
        """So many ran at once in the time up to ``now`` (seconds of a clock that does not go back)."""
        self._most = max(float(most), self._decayed(now))
        self._at = now

    def channels(self, now: float) -> int:
        """How many channels are worth having now."""
        return round(self._decayed(now))

    def _decayed(self, now: float) -> float:
        return self._most * math.pow(0.5, (now - self._at) / HALF_LIFE_S)
