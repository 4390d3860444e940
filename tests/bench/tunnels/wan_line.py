"""What is measured over one long line."""

from __future__ import annotations

import http.client
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tests.bench.tunnels.load import Work, measure
from tests.bench.tunnels.peers import Tunnel
from tests.bench.tunnels.place import ROOT, Place
from tests.bench.tunnels.store import KIB

LineFigures = dict[str, dict[str, dict[str, list[float]]]]
"""By kind (``round trips``, ``rates``), by title, by the name of the peer: what was measured, in this order."""

SHORT_REST_S: Final = 0.3
SINGLE_GETS: Final = 9
LOAD_S: Final = 3
_UNVERIFIED: Final = ssl._create_unverified_context()  # the store's certificate is made for the run


@dataclass
class LongLine:
    """``rtt_s`` seconds there and back, ``bits_per_s`` in each direction of each connection."""

    rtt_s: float
    bits_per_s: float
    _relays: dict[int, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.rtt_s * 1000:.0f} ms, {self.bits_per_s / 1e6:.0f} Mbit/s"

    def relay(self, place: Place, port: int) -> int:
        """Start a relay to ``port``; its own port."""
        relay = place.start(
            f"relay-{port}",
            *(sys.executable, "-m", "tests.bench.tunnels.relay", str(port), str(self.rtt_s), str(self.bits_per_s)),
            environ={"PYTHONPATH": str(ROOT)},
        )
        assert relay.stdout is not None
        self._relays[port] = relay
        return int(relay.stdout.readline())

    def cut(self, port: int) -> None:
        """Cut all connections to ``port``; new ones are relayed."""
        self._relays[port].send_signal(signal.SIGUSR1)


@dataclass(frozen=True)
class Measure:
    """``idle_s`` seconds without a request before the first GET after a rest.

    ``rounds`` of everything but GETs from rest; large transfers have ``bulk_mib``, 64 or 256.
    """

    idle_s: float
    rounds: int
    bulk_mib: int


def measure_line(line: LongLine, place: Place, tunnels: Sequence[Tunnel], how: Measure) -> LineFigures:
    """All of it. Raises RuntimeError when an answer was none of the store's."""
    figures: LineFigures = {"round trips": {}, "rates": {}}

    def note_get(title: str, tunnel: Tunnel, url: str) -> None:
        by_name = figures["round trips"].setdefault(title, {})
        by_name.setdefault(tunnel.name, []).append(_get_s(tunnel, url) / line.rtt_s)

    for number in range(SINGLE_GETS + 1):
        for tunnel in tunnels:
            time.sleep(SHORT_REST_S)
            note_get("from rest" if number else "first of all", tunnel, tunnel.url)
    for tunnel in tunnels:
        if tunnel.second_url:
            note_get("second store", tunnel, tunnel.second_url)
    time.sleep(how.idle_s)
    for tunnel in tunnels:
        note_get("after a rest", tunnel, tunnel.url)
    for _ in range(how.rounds):
        for tunnel in tunnels:
            if tunnel.settle is not None:
                line.cut(tunnel.login_port)
                time.sleep(2 * line.rtt_s + SHORT_REST_S)  # until both ends know
                tunnel.settle()
                note_get("after a reconnect", tunnel, tunnel.url)
    _note_loads(line, place, tunnels, how, figures)
    return figures


def _note_loads(line: LongLine, place: Place, tunnels: Sequence[Tunnel], how: Measure, figures: LineFigures) -> None:
    works = (
        Work("1 KiB GET, 64 at once, requests/s", "k1", 64),
        Work(f"download {how.bulk_mib} MiB, MB/s", f"m{how.bulk_mib}", bulk="down"),
        Work(f"upload {how.bulk_mib} MiB, MB/s", f"m{how.bulk_mib}", bulk="up"),
    )
    for work in works:
        for _ in range(how.rounds):
            for tunnel in tunnels:
                found = measure(tunnel, work, place.folder, LOAD_S)
                figures["rates"].setdefault(work.name, {}).setdefault(tunnel.name, []).append(found.rate)
                if not work.bulk:
                    medians = figures["round trips"].setdefault("64 at once, p50", {})
                    medians.setdefault(tunnel.name, []).append(found.p50_ms / 1000 / line.rtt_s)
        print(f"{line.name}: {work.name}", file=sys.stderr)


def _get_s(tunnel: Tunnel, base_url: str) -> float:
    """Seconds of one GET of 1 KiB over a connection of its own."""
    url = urlsplit(base_url + "k1")
    began = time.perf_counter()
    connection = (
        http.client.HTTPSConnection(url.netloc, timeout=30, context=_UNVERIFIED)
        if url.scheme == "https"
        else http.client.HTTPConnection(url.netloc, timeout=30)
    )
    connection.request("GET", url.path, headers=dict(header.split(": ", 1) for header in tunnel.headers))
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - began
    connection.close()
    if answer.status != 200 or len(body) != KIB:
        raise RuntimeError(f"{tunnel.name} answered {answer.status}")
    return seconds
