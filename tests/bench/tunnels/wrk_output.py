"""What wrk prints, read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class WrkOutput:
    """Requests that were answered, requests/s, and latencies in ms."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float


def read(said: str) -> WrkOutput:
    """Raises ValueError when an answer was not 2xx or 3xx, a socket failed, or nothing was measured."""
    if "Non-2xx" in said or "Socket errors" in said:
        raise ValueError("answers or connections failed")
    found = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None or rate is None or not int(found[1]):
        raise ValueError("nothing was measured")
    return WrkOutput(int(found[1]), float(rate[1]), percentile_ms(said, 50), percentile_ms(said, 99))


def percentile_ms(said: str, percent: int) -> float:
    """A line of ``--latency``, as ``  99%   12.31ms``. Raises ValueError when it is not there."""
    found = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s|m)\b", said)
    if found is None:
        raise ValueError(f"no latency at {percent} %")
    return float(found[1]) * _UNITS_MS[found[2]]
