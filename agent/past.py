"""What has happened, as ``prestashop-agent status`` tells it: exchanges, and ends of tunnels. Pure: values only.

Moments are Unix seconds, times milliseconds, sizes bytes. Of a target only what a log may hold is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.exchange_tally import PastExchange
from agent.tunnel.ending_trail import EndingTrail

ENDINGS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class PastExchangeReport:
    """One exchange; ``status`` is 0 when it was cut before an answer, ``error`` is empty when all went well."""

    at: float
    request_id: str
    store: str
    method: str
    target: str
    status: int
    error: str
    ms: float
    bytes_to_store: int
    bytes_from_store: int

    @classmethod
    def of(cls, past: PastExchange) -> PastExchangeReport:
        """``past`` without the values of its parameters."""
        at, record = past
        return cls(
            at=round(at, 3),
            request_id=record.request_id,
            store=record.store,
            method=record.method,
            target=record.target,
            status=record.status,
            error=record.error,
            ms=round(record.elapsed_s * 1000, 1),
            bytes_to_store=record.bytes_to_store,
            bytes_from_store=record.bytes_from_store,
        )


@dataclass(frozen=True, slots=True)
class PastEndingReport:
    """How tunnel ``tunnel``, or an attempt at it, ended, ``times`` in a row from ``first_at`` to ``at``."""

    at: float
    first_at: float
    times: int
    tunnel: int
    reason: str
    detail: str


def endings_of(trails: Iterable[EndingTrail]) -> tuple[PastEndingReport, ...]:
    """The youngest of all tunnels, the youngest first."""
    every = [
        PastEndingReport(
            round(past.last_at, 3),
            round(past.first_at, 3),
            past.times,
            index,
            past.ending.reason.value,
            past.ending.detail,
        )
        for index, trail in enumerate(trails)
        for past in trail.last
    ]
    return tuple(sorted(every, key=lambda ending: ending.at, reverse=True)[:ENDINGS_SHOWN])


def exchanges_of(last: Iterable[PastExchange]) -> tuple[PastExchangeReport, ...]:
    """``last``, whose youngest stands at its end, with the youngest first."""
    return tuple(PastExchangeReport.of(past) for past in last)[::-1]
