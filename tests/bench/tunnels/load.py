"""One piece of work through one tunnel, and what it cost."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.tunnels.peers import Tunnel
from tests.bench.tunnels.place import run, tool
from tests.bench.tunnels.store import DOWNLOAD_BYTES
from tests.bench.tunnels.usage import cpu_s

_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
GB: Final = 1e9


@dataclass(frozen=True)
class Work:
    """GETs of ``path``, so many ``at_once``; or, where ``bulk`` is ``down`` or ``up``, one transfer of 256 MiB."""

    name: str
    path: str
    at_once: int = 1
    bulk: str = ""


WORKS: Final = (
    Work("1 KiB GET, 1 at a time", "k1", 1),
    Work("1 KiB GET, 16", "k1", 16),
    Work("1 KiB GET, 64", "k1", 64),
    Work("64 KiB GET, 16", "k64", 16),
    Work("100 ms store, 64", "slow", 64),
    Work("download 256 MiB", "m256", bulk="down"),
    Work("upload 256 MiB", "up", bulk="up"),
)


@dataclass(frozen=True)
class Measured:
    """``rate`` is requests/s or MB/s, ``cpu`` microseconds per request or seconds per GB, of both ends together."""

    rate: float
    cpu: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def measure(tunnel: Tunnel, work: Work, folder: Path, duration_s: int) -> Measured:
    """Do it once. Raises RuntimeError when an answer was none of the store's."""
    pids = tunnel.pids()
    before = cpu_s(pids)
    if work.bulk:
        seconds = _bulk(tunnel, work, folder)
        used = cpu_s(pids) - before
        return Measured(DOWNLOAD_BYTES / 1e6 / seconds, used / (DOWNLOAD_BYTES / GB))
    requests, rate, p50_ms, p99_ms = _requests(tunnel, work, duration_s)
    return Measured(rate, (cpu_s(pids) - before) / requests * 1e6, p50_ms, p99_ms)


def _requests(tunnel: Tunnel, work: Work, duration_s: int) -> tuple[int, float, float, float]:
    headers = [part for header in tunnel.headers for part in ("-H", header)]
    said = run(
        (
            tool("wrk", "wrk"),
            "-t1",
            f"-c{work.at_once}",
            f"-d{duration_s}s",
            "--latency",
            "--timeout",
            "10s",
            *headers,
            tunnel.url + work.path,
        )
    )
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{tunnel.name}, {work.name}: {said}")
    found = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found is not None
    assert rate is not None
    return int(found[1]), float(rate[1]), _percentile(said, "50"), _percentile(said, "99")


def _percentile(said: str, which: str) -> float:
    found = re.search(rf"\s{which}%\s+([\d.]+)(us|ms|s|m)\b", said)
    assert found is not None
    return float(found[1]) * _UNITS_MS[found[2]]


def _bulk(tunnel: Tunnel, work: Work, folder: Path) -> float:
    headers = [part for header in tunnel.headers for part in ("-H", header)]
    if work.bulk == "up":
        headers += ["-H", "Expect:", "-X", "PUT", "-T", str(folder / "www" / "api" / "m256")]
    began = time.monotonic()
    done = subprocess.run(
        (
            tool("curl", "curl"),
            "-s",
            "-f",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{size_download} %{size_upload}",
            *headers,
            tunnel.url + work.path,
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    seconds = time.monotonic() - began
    sizes = {int(size) for size in done.stdout.split()[1:]}
    if done.returncode or DOWNLOAD_BYTES not in sizes:
        raise RuntimeError(f"{tunnel.name}, {work.name}: curl ended with {done.returncode}, {done.stdout}")
    return seconds
