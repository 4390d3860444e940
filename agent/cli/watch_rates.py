"""Requests and bytes a second, from the counters of reports that follow each other. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

WINDOW_S: Final = 5.0
"""One exchange in two seconds must not flicker between 0 and 1."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Per second; bytes count when their exchange has ended."""

    requests: float
    bytes_to_store: float
    bytes_from_store: float


@dataclass(frozen=True, slots=True)
class _Counters:
    requests: int = 0
    bytes_to_store: int = 0
    bytes_from_store: int = 0


class Rates:
    """Takes one report after the other; ``of`` is then the rate of a store, or of all together ("")."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._seen: deque[tuple[float, Mapping[str, _Counters]]] = deque()
        self._process: tuple[int, str] | None = None

    def take(self, report: Mapping[str, Any]) -> None:
        """The next report. That of another process begins anew: its counters are others."""
        process, at = (report["pid"], report["instance_id"]), report["uptime_s"]
        if process != self._process or (self._seen and at < self._seen[-1][0]):
            self._seen.clear()
        self._process = process
        self._seen.append((at, _counters(report)))
        while len(self._seen) > 2 and at - self._seen[1][0] >= self._window_s:
            self._seen.popleft()

    def of(self, store: str = "") -> Rate | None:
        """None until two reports of one process are there."""
        if len(self._seen) < 2 or self._seen[-1][0] <= self._seen[0][0]:
            return None
        (began_at, first), (at, last) = self._seen[0], self._seen[-1]
        before, now, over_s = first.get(store, _Counters()), last.get(store, _Counters()), at - began_at
        return Rate(
            max(now.requests - before.requests, 0) / over_s,
            max(now.bytes_to_store - before.bytes_to_store, 0) / over_s,
            max(now.bytes_from_store - before.bytes_from_store, 0) / over_s,
        )


def _counters(report: Mapping[str, Any]) -> dict[str, _Counters]:
    stores = {
        store["store"]: _Counters(store["ended"], store["bytes_to_store"], store["bytes_from_store"])
        for store in report["stores"]
    }
    every = stores.values()
    stores[""] = _Counters(
        report["exchanges"]["ended"],
        sum(each.bytes_to_store for each in every),
        sum(each.bytes_from_store for each in every),
    )
    return stores
