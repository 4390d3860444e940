"""One piece of work through one tunnel, and what it cost."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.tunnels.peers import Tunnel
from tests.bench.tunnels.place import run, tool
from tests.bench.tunnels.store import BULK_FILES
from tests.bench.tunnels.usage import cpu_s
from tests.bench.tunnels.wrk_output import WrkOutput, read

GB: Final = 1e9
_BULK_TIMEOUT_S: Final = 300


@dataclass(frozen=True)
class Work:
    """GETs of ``path``, so many ``at_once``; or one transfer of that file, where ``bulk`` is ``down`` or ``up``."""

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
    Work("upload 256 MiB", "m256", bulk="up"),
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
        size = BULK_FILES[work.path]
        seconds = _bulk(tunnel, work, folder, size)
        return Measured(size / 1e6 / seconds, (cpu_s(pids) - before) / (size / GB))
    found = _requests(tunnel, work, duration_s)
    return Measured(found.rate, (cpu_s(pids) - before) / found.requests * 1e6, found.p50_ms, found.p99_ms)


def _requests(tunnel: Tunnel, work: Work, duration_s: int) -> WrkOutput:
    headers = [part for header in tunnel.headers for part in ("-H", header)]
    options = ("-t1", f"-c{work.at_once}", f"-d{duration_s}s", "--latency", "--timeout", "10s")
    said = run((tool("wrk"), *options, *headers, tunnel.url + work.path))
    try:
        return read(said)
    except ValueError as error:
        raise RuntimeError(f"{tunnel.name}, {work.name}: {error}: {said}") from None


def _bulk(tunnel: Tunnel, work: Work, folder: Path, size: int) -> float:
    headers = [part for header in tunnel.headers for part in ("-H", header)]
    path = work.path
    if work.bulk == "up":
        headers += ["-H", "Expect:", "-X", "PUT", "-T", str(folder / "www" / "api" / work.path)]
        path = "up"
    began = time.monotonic()
    done = subprocess.run(
        (
            *(tool("curl"), "--silent", "--fail", "--insecure", "--output", "/dev/null"),
            *("--write-out", "%{http_code} %{size_download} %{size_upload}", *headers, tunnel.url + path),
        ),
        capture_output=True,
        text=True,
        timeout=_BULK_TIMEOUT_S,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode or str(size) not in done.stdout.split()[1:]:
        raise RuntimeError(f"{tunnel.name}, {work.name}: curl ended with {done.returncode}, {done.stdout}")
    return seconds
