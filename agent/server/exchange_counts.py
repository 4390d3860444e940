"""Plain numbers of all exchanges since the start; whoever exports them reads them. Part of the hot path, so no objects
of a metrics library here. No I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container
from typing import Final

from agent.server.gateway_context import GatewayRecord

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

_SAFE: Final = frozenset({"GET", "HEAD"})
_OPEN_ENDS: Final = frozenset({"tunnel_lost", "store_timeout", "store_bad_response", "client_timeout", "client_gone"})
"""Ways to end after which it is not known whether a store has done what it was sent."""


class Distribution:
    """Counts of values (seconds) by ``BOUNDS_S``, each with its upper bound; the last count is what is above them."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def add(self, value_s: float) -> None:
        """One value more."""
        self.counts[bisect_left(BOUNDS_S, value_s)] += 1
        self.total_s += value_s


class ConnectionCounts:
    """The numbers of one connection."""

    __slots__ = ("bytes_down", "bytes_up", "failed", "good")

    def __init__(self) -> None:
        self.good = self.failed = self.bytes_up = self.bytes_down = 0


class ExchangeCounts:
    """``requests``: by who answered, first digit of the status, error name (0 and "": none).

    ``unknown_writes`` were sent, and nobody was told what became of them. ``connections`` are by slug.
    """

    __slots__ = ("bytes_down", "bytes_up", "connections", "duration", "first_byte", "requests", "unknown_writes")

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int, str], int] = {}
        self.connections: dict[str, ConnectionCounts] = {}
        self.duration = Distribution()
        self.first_byte = Distribution()
        self.bytes_up = self.bytes_down = self.unknown_writes = 0

    def note(self, record: GatewayRecord) -> None:
        """One exchange has ended, or was refused before it began, which takes no time that could be told."""
        failed = record.failed
        key = (record.answered_by, record.status // 100, record.error)
        self.requests[key] = self.requests.get(key, 0) + 1
        if record.elapsed_s:
            self.duration.add(record.elapsed_s)
        if record.first_byte_s is not None:
            self.first_byte.add(record.first_byte_s)
        self.bytes_up += record.bytes_up
        self.bytes_down += record.bytes_down
        if failed and record.error in _OPEN_ENDS and record.waited_s is not None and record.method not in _SAFE:
            self.unknown_writes += 1
        slug = record.connection
        if slug:
            of_connection = self.connections.get(slug)
            if of_connection is None:
                of_connection = self.connections[slug] = ConnectionCounts()
            if failed:
                of_connection.failed += 1
            else:
                of_connection.good += 1
            of_connection.bytes_up += record.bytes_up
            of_connection.bytes_down += record.bytes_down

    def keep(self, slugs: Container[str]) -> None:
        """Forget the connections that are not among ``slugs``: they were deleted."""
        for slug in [slug for slug in self.connections if slug not in slugs]:
            del self.connections[slug]
