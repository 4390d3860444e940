"""Who may begin an SSH login: places, a line of those who wait for one, and a penalty for failing. Pure."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from agent.server.waiting_line import WaitingLine

SOURCES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """Bounds on connections that are not logged in.

    ``total_max`` may log in at a time, ``per_source_max`` of one source. When there is no place ``waiting_max`` more
    wait, ``waiting_per_source_max`` of one source, unread and for ``waiting_s`` at most: a herd that comes back, or a
    hundred agents behind one address, is served at the rate of this machine and not sent away to come again. When all
    of these wait, a source that has fewer of them takes the place of the last one of the source that has most. Who has
    waited longer is turned away, since too little is left of its own time for the login.

    After ``free_failures`` a source waits 1 s, then 2, 4 ... up to ``penalty_max_s``; one failure is forgiven every
    ``forgive_s``. So half a dozen revoked agents, whose tunnels come back twice a minute each, never shut out the
    others behind their address; a secret of 256 bits is not guessed at that rate either.
    """

    total_max: int = 64
    per_source_max: int = 8
    waiting_max: int = 1024
    waiting_per_source_max: int = 256
    waiting_s: float = 6.0
    free_failures: int = 10
    penalty_max_s: float = 16.0
    forgive_s: float = 3.0


class Refusal(Enum):
    """Why a connection is closed before its first byte."""

    FULL = "too many connections that are not logged in"
    SOURCE_FULL = "too many connections of this source that are not logged in"
    PENALTY = "this source failed too often"
    WAITED = "no place became free in time"


class Visitor(Protocol):
    """A connection at the door."""

    def admitted(self) -> None:
        """It has a place, at once or after having waited, which obliges to ``leave``."""

    def turned_away(self, refusal: Refusal) -> None:
        """It waited in vain; there is no place to give back."""


@dataclass(frozen=True, slots=True)
class DoorReport:
    """The door now and, since the start of the process, at its fullest; how many were turned away, by reason.

    ``logged_in`` and ``failed`` count logins since then; a connection fails once for each wrong secret.
    """

    inside: int = 0
    inside_max: int = 0
    waiting: int = 0
    waiting_max: int = 0
    turned_away: Mapping[str, int] = field(default_factory=dict)
    logged_in: int = 0
    failed: int = 0


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
        self._line: WaitingLine[Visitor] = WaitingLine(limits.waiting_max, limits.waiting_per_source_max)
        self._failures_max = limits.free_failures + 1 + math.ceil(math.log2(max(limits.penalty_max_s, 1.0)))
        self._turned_away: Counter[Refusal] = Counter()
        self._inside_max = self._waiting_max = self._logged_in = self._failed = 0
        self._records: dict[str, _Record] = {}

    def __repr__(self) -> str:
        return f"<Doorkeeper inside={self._total} waiting={len(self._line)} penalised={len(self._records)}>"

    @property
    def inside(self) -> int:
        """Connections that are not logged in now."""
        return self._total

    @property
    def waiting(self) -> int:
        """Connections that wait for a place now."""
        return len(self._line)

    def report(self) -> DoorReport:
        """What happened here so far."""
        return DoorReport(
            self._total,
            self._inside_max,
            len(self._line),
            self._waiting_max,
            {refusal.name.lower(): self._turned_away[refusal] for refusal in Refusal},
            self._logged_in,
            self._failed,
        )

    def enter(self, source: str, visitor: Visitor) -> Refusal | None:
        """Take a place or wait for one: None, and ``visitor.admitted`` is called now or later. Else why not."""
        refusal = self._why_not(source)
        if refusal is None:
            self._admit(source, visitor)
        elif refusal is Refusal.PENALTY or not self._join(source, visitor):
            self._turned_away[refusal] += 1
            return refusal
        self._waiting_max = max(self._waiting_max, len(self._line))
        return None

    def give_up(self, source: str, visitor: Visitor) -> None:
        """One that has no place is gone; it may have waited."""
        self._line.give_up(source, visitor)

    def leave(self, source: str) -> None:
        """Give the place back: logged in, or gone. Whoever waits longest takes it."""
        self._total -= 1
        self._inside[source] -= 1
        if not self._inside[source]:
            del self._inside[source]
        self._fill()

    def _join(self, source: str, visitor: Visitor) -> bool:
        """Stand in the line. When it is full a crowd makes room: a few sources could else keep all others out."""
        if self._line.join(source, visitor, self._clock()):
            return True
        last = self._line.make_room(source)
        if last is None:
            return False
        self._turned_away[Refusal.FULL] += 1
        last.visitor.turned_away(Refusal.FULL)
        return self._line.join(source, visitor, self._clock())

    def _fill(self) -> None:
        """Give free places to those who wait."""
        while self._total < self._limits.total_max and (waiting := self._line.next(self._has_room)) is not None:
            refusal = Refusal.PENALTY if self._is_barred(waiting.source) else None
            if refusal is None and self._clock() - waiting.since_s > self._limits.waiting_s:
                refusal = Refusal.WAITED
            if refusal is None:
                self._admit(waiting.source, waiting.visitor)
            else:
                self._turned_away[refusal] += 1
                waiting.visitor.turned_away(refusal)

    def _why_not(self, source: str) -> Refusal | None:
        if self._is_barred(source):
            return Refusal.PENALTY
        if self._total >= self._limits.total_max:
            return Refusal.FULL
        return None if self._has_room(source) else Refusal.SOURCE_FULL

    def _has_room(self, source: str) -> bool:
        return self._inside.get(source, 0) < self._limits.per_source_max

    def _is_barred(self, source: str) -> bool:
        record = self._records.get(source)
        return record is not None and self._clock() < record.barred_until

    def _admit(self, source: str, visitor: Visitor) -> None:
        self._total += 1
        self._inside[source] = self._inside.get(source, 0) + 1
        self._inside_max = max(self._inside_max, self._total)
        visitor.admitted()

    def failed(self, source: str) -> None:
        """A wrong secret, or a login that never came: count it, and bar the source for a while."""
        now = self._clock()
        self._failed += 1
        record = self._records.pop(source, None) or _Record(0.0, now, 0.0)
        forgiven = (now - record.counted_at) / self._limits.forgive_s
        # No more is counted than the longest penalty needs: all is forgiven within minutes, whatever went on before.
        record.failures = min(max(0.0, record.failures - forgiven) + 1, self._failures_max)
        record.counted_at = now
        over = record.failures - self._limits.free_failures
        if over > 0:
            record.barred_until = now + min(2.0 ** min(over - 1, 30.0), self._limits.penalty_max_s)
        self._records[source] = record
        if len(self._records) > SOURCES_MAX:
            del self._records[next(iter(self._records))]  # the one that failed longest ago

    def succeeded(self, source: str) -> None:
        """A login: what failed before from there is forgotten."""
        self._logged_in += 1
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
