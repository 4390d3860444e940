"""Who may begin an SSH login: places for connections that are not logged in, and a penalty for failing. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

SOURCES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """Bounds on connections that are not logged in.

    After ``free_failures`` a source waits 1 s, then 2, 4 ... up to ``penalty_max_s``; one failure is forgiven every
    ``forgive_s``. So a revoked agent that comes back twice a minute never shuts out the others behind its address.
    """

    total_max: int = 64
    per_source_max: int = 8
    free_failures: int = 5
    penalty_max_s: float = 16.0
    forgive_s: float = 30.0


class Refusal(Enum):
    """Why a connection is closed before its first byte."""

    FULL = "too many connections that are not logged in"
    SOURCE_FULL = "too many connections of this source that are not logged in"
    PENALTY = "this source failed too often"


@dataclass(slots=True)
class _Record:
    failures: float
    counted_at: float
    barred_until: float


class Doorkeeper:
    """Counts the unauthenticated; ``clock`` is monotonic seconds."""

    def __init__(self, limits: DoorLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._inside: dict[str, int] = {}
        self._total = 0
        self._records: dict[str, _Record] = {}

    def __repr__(self) -> str:
        return f"<Doorkeeper inside={self._total} penalised={len(self._records)}>"

    @property
    def inside(self) -> int:
        """Connections that are not logged in now."""
        return self._total

    def enter(self, source: str) -> Refusal | None:
        """Take a place; None when it was given, which obliges to ``leave``."""
        record = self._records.get(source)
        if record is not None and self._clock() < record.barred_until:
            return Refusal.PENALTY
        if self._total >= self._limits.total_max:
            return Refusal.FULL
        if self._inside.get(source, 0) >= self._limits.per_source_max:
            return Refusal.SOURCE_FULL
        self._total += 1
        self._inside[source] = self._inside.get(source, 0) + 1
        return None

    def leave(self, source: str) -> None:
        """Give the place back: logged in, or gone."""
        self._total -= 1
        self._inside[source] -= 1
        if not self._inside[source]:
            del self._inside[source]

    def failed(self, source: str) -> None:
        """A wrong secret, or a login that never came: count it, and bar the source for a while."""
        now = self._clock()
        record = self._records.pop(source, None) or _Record(0.0, now, 0.0)
        forgiven = (now - record.counted_at) / self._limits.forgive_s
        record.failures = max(0.0, record.failures - forgiven) + 1
        record.counted_at = now
        over = record.failures - self._limits.free_failures
        if over > 0:
            record.barred_until = now + min(2.0 ** min(over - 1, 30.0), self._limits.penalty_max_s)
        self._records[source] = record
        if len(self._records) > SOURCES_MAX:
            del self._records[next(iter(self._records))]  # the one that failed longest ago

    def succeeded(self, source: str) -> None:
        """A login: what failed before from there is forgotten."""
        self._records.pop(source, None)


def source_of(address: str) -> str:
    """The unit that is counted: an IPv4 address, or the /64 of an IPv6 address, of which one machine has them all."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
