"""The last exchanges, and the numbers of the last hour: bounded, redacted, and cheap for the gateway."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from agent.server.gateway_context import GatewayRecord

KEPT_MAX: Final = 200
MINUTES_MAX: Final = 60
USED_MAX: Final = 10_000
"""Client keys whose use is remembered while the database does not answer."""

_BOUNDS_MS: Final = (0, 1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 750, 1000, 2000, 5000, 10_000, 30_000)


class ExchangeEntry(NamedTuple):
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


_Kept = tuple[int, float, GatewayRecord]  # with its number, and when it ended


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

    def add(self, value_s: float) -> None:
        self._counts[bisect_left(_BOUNDS_MS, value_s * 1000)] += 1
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
        self._records: deque[_Kept] = deque(maxlen=KEPT_MAX)
        self._buckets: deque[_Bucket] = deque(maxlen=MINUTES_MAX)
        self._used: dict[str, float] = {}
        self.total = 0
        self.errors = 0

    def __repr__(self) -> str:
        return f"<Traffic total={self.total} kept={len(self._records)}>"

    def note(self, record: GatewayRecord) -> None:
        """One exchange has ended, or was refused before it began. How it is shown is made up when somebody asks."""
        now = self._clock()
        self.total += 1
        self._records.append((self.total, now, record))
        bucket = self._bucket(now)
        bucket.requests += 1
        if record.failed:
            bucket.errors += 1
            self.errors += 1
        if record.tunnel_s is not None:
            bucket.tunnel.add(record.tunnel_s)
            store_s = record.store_s
            if store_s is not None:
                bucket.store.add(store_s)
        if record.key_id:
            self._used[record.key_id] = now

    def last(self, limit: int = KEPT_MAX, *, connection: str = "", errors_only: bool = False) -> list[ExchangeEntry]:
        """The newest exchanges, newest first."""
        found = (
            kept
            for kept in reversed(self._records)
            if (not connection or kept[2].connection == connection) and (kept[2].failed or not errors_only)
        )
        return [_entry(*kept) for kept in islice(found, limit)]

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


def _entry(number: int, at: float, record: GatewayRecord) -> ExchangeEntry:
    return ExchangeEntry(
        number=number,
        at=at,
        request_id=record.request_id,
        connection=record.connection,
        key_id=record.key_id,
        method=record.method,
        target=record.target,
        status=record.status,
        answered_by=record.answered_by,
        error=record.error,
        total_ms=round(record.elapsed_s * 1000, 1),
        waited_ms=_milliseconds(record.waited_s),
        tunnel_ms=_milliseconds(record.tunnel_s),
        store_ms=_milliseconds(record.store_s),
        bytes_up=record.bytes_up,
        bytes_down=record.bytes_down,
        trace_id=record.trace_id,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _shown(minute: int, bucket: _Bucket | None) -> Minute:
    if bucket is None:
        return Minute(minute * 60.0, 0, 0, None, None)
    return Minute(minute * 60.0, bucket.requests, bucket.errors, bucket.tunnel.median(), bucket.store.median())
