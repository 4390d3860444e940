"""The last exchanges, and the numbers of the last hour: bounded, redacted, and cheap for the gateway."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from agent.redact import loggable_target
from agent.server.gateway_context import GatewayRecord

KEPT_MAX: Final = 200
MINUTES_MAX: Final = 60
USED_MAX: Final = 10_000
"""Client keys whose use is remembered while the database does not answer."""

_BOUNDS_MS: Final = (0, 1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 750, 1000, 2000, 5000, 10_000, 30_000)


class ExchangeEntry(NamedTuple):  # one is made per exchange, at a quarter of what a frozen dataclass costs
    """One finished exchange, as it may be shown: ``target`` has the names of its parameters and no values.

    ``at`` is unix time of its end; milliseconds are None where they are not known (see ``GatewayRecord``).
    """

    number: int
    at: float
    request_id: str
    connection: str
    key_id: str
    method: str
    target: str
    status: int
    answered_by: str
    error: str
    total_ms: float
    waited_ms: float | None
    tunnel_ms: float | None
    store_ms: float | None
    bytes_up: int
    bytes_down: int
    trace_id: str = ""

    @property
    def failed(self) -> bool:
        """True when the answer was not the store's, or the store's was a server error."""
        return bool(self.error) or self.status >= 500 or self.status == 0


@dataclass(frozen=True, slots=True)
class Minute:
    """What ended in one minute. ``began_at`` is unix time; medians are milliseconds, None without an exchange."""

    began_at: float
    requests: int
    errors: int
    tunnel_ms: float | None
    store_ms: float | None


class _Histogram:
    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_MS) + 1)
        self._total = 0

    def add(self, value_ms: float) -> None:
        self._counts[bisect_left(_BOUNDS_MS, value_ms)] += 1
        self._total += 1

    def merge(self, other: _Histogram) -> None:
        self._counts = [one + two for one, two in zip(self._counts, other._counts, strict=True)]
        self._total += other._total

    def median(self) -> float | None:
        """Within the bucket in which it lies, as if its values were spread evenly."""
        if not self._total:
            return None
        before, half = 0, self._total / 2
        for index, number in enumerate(self._counts):
            if before + number >= half and number:
                low = _BOUNDS_MS[index - 1] if index else 0.0
                high = _BOUNDS_MS[index] if index < len(_BOUNDS_MS) else _BOUNDS_MS[-1] * 2
                return round(low + (high - low) * (half - before) / number, 1)
            before += number
        return None


class _Bucket:
    __slots__ = ("errors", "minute", "requests", "store", "tunnel")

    def __init__(self, minute: int) -> None:
        self.minute = minute
        self.requests = 0
        self.errors = 0
        self.tunnel = _Histogram()
        self.store = _Histogram()

    def merge(self, other: _Bucket) -> None:
        self.requests += other.requests
        self.errors += other.errors
        self.tunnel.merge(other.tunnel)
        self.store.merge(other.store)


class Traffic:
    """Fed with every record of the gateway. ``clock`` is unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: deque[ExchangeEntry] = deque(maxlen=KEPT_MAX)
        self._buckets: deque[_Bucket] = deque(maxlen=MINUTES_MAX)
        self._used: dict[str, float] = {}
        self.total = 0
        self.errors = 0

    def __repr__(self) -> str:
        return f"<Traffic total={self.total} kept={len(self._entries)}>"

    def note(self, record: GatewayRecord) -> ExchangeEntry:
        """One exchange has ended, or was refused before it began; how it may be shown, for the log, too."""
        now = self._clock()
        self.total += 1
        entry = ExchangeEntry(  # by position, which is the order of the class: names would cost half as much again
            self.total,
            now,
            record.request_id,
            record.connection,
            record.key_id,
            record.method,
            loggable_target(record.target),
            record.status,
            record.answered_by,
            record.error,
            round(record.elapsed_s * 1000, 1),
            _milliseconds(record.waited_s),
            _milliseconds(record.tunnel_s),
            _milliseconds(record.store_s),
            record.bytes_up,
            record.bytes_down,
            record.trace_id,
        )
        self._entries.append(entry)
        bucket = self._bucket(now)
        bucket.requests += 1
        if entry.failed:
            bucket.errors += 1
            self.errors += 1
        if entry.tunnel_ms is not None:
            bucket.tunnel.add(entry.tunnel_ms)
        if entry.store_ms is not None:
            bucket.store.add(entry.store_ms)
        if record.key_id:
            self._used[record.key_id] = now
        return entry

    def last(self, limit: int = KEPT_MAX, *, connection: str = "", errors_only: bool = False) -> list[ExchangeEntry]:
        """The newest exchanges, newest first."""
        found = (
            entry
            for entry in reversed(self._entries)
            if (not connection or entry.connection == connection) and (entry.failed or not errors_only)
        )
        return list(islice(found, limit))

    def minutes(self) -> list[Minute]:
        """The last hour, oldest minute first, also those without an exchange."""
        now_minute = int(self._clock() // 60)
        by_minute = {bucket.minute: bucket for bucket in self._buckets}
        return [_shown(minute, by_minute.get(minute)) for minute in range(now_minute - MINUTES_MAX + 1, now_minute + 1)]

    def lately(self, minutes: int = 5) -> Minute:
        """The last minutes as one."""
        now_minute = int(self._clock() // 60)
        whole = _Bucket(now_minute - minutes + 1)
        for bucket in self._buckets:
            if whole.minute <= bucket.minute <= now_minute:
                whole.merge(bucket)
        return _shown(whole.minute, whole)

    def take_used_keys(self) -> dict[str, float]:
        """Client keys that were used since this was asked last: key id -> unix time of the last use."""
        used, self._used = self._used, {}
        return used

    def put_back_used_keys(self, used: Mapping[str, float]) -> None:
        """What could not be written: it is taken again with the next, unless it was used since. The oldest go first."""
        kept = {**used, **self._used}
        if len(kept) > USED_MAX:
            kept = dict(sorted(kept.items(), key=lambda each: each[1])[-USED_MAX:])
        self._used = kept

    def _bucket(self, now: float) -> _Bucket:
        minute = int(now // 60)
        buckets = self._buckets
        if buckets and buckets[-1].minute == minute:
            return buckets[-1]
        made = _Bucket(minute)
        while buckets and buckets[-1].minute >= minute:  # the clock was put back: what is ahead of it ended just now
            made.merge(buckets.pop())
        buckets.append(made)
        return made


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _shown(minute: int, bucket: _Bucket | None) -> Minute:
    if bucket is None:
        return Minute(minute * 60.0, 0, 0, None, None)
    return Minute(minute * 60.0, bucket.requests, bucket.errors, bucket.tunnel.median(), bucket.store.median())
