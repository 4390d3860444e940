"""``make bench-wan``: one GET from rest, many at once, and large transfers, over long lines; a table, and JSON."""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.bench.tunnels import peers
from tests.bench.tunnels.load import Measured, Work, measure
from tests.bench.tunnels.place import MissingToolError, Place
from tests.bench.tunnels.store import start_store

PEERS = {
    "direct": peers.direct,
    "openssh": peers.openssh_command,
    "splice": peers.splice,
    "ours-stock": peers.ours_without_fast_path,
    "ours": peers.ours,
}
WORKS = (
    Work("1 KiB GET, 64", "k1", 64),
    Work("download 256 MiB", "m256", bulk="down"),
    Work("upload 256 MiB", "up", bulk="up"),
)
REST_S = 0.3
SINGLE_GETS = 15


def main(arguments: Sequence[str]) -> int:
    """0 when all work was done; 1 when a tool is missing or an answer was wrong."""
    options = _options(arguments)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for rtt_ms in options.rtt_ms:
        for mbit_per_s in options.mbit_per_s:
            line = f"{rtt_ms} ms, {mbit_per_s} Mbit/s"
            with tempfile.TemporaryDirectory(prefix="bench-") as folder, Place(Path(folder)) as place:
                try:
                    found[line] = _line(place, rtt_ms / 1000, mbit_per_s * 1e6, options)
                except (MissingToolError, RuntimeError) as error:
                    print(f"bench-wan: {line}: {error}", file=sys.stderr)
                    return 1
            print(_shown(line, found[line]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-wan ARGS=...", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--rtt-ms", nargs="+", type=int, default=[20, 100, 200], metavar="MS")
    parser.add_argument("--mbit-per-s", nargs="+", type=int, default=[100, 1000], metavar="RATE")
    parser.add_argument("--rounds", type=int, default=3, help="of everything but the single GETs; default 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args(arguments)


def _line(place: Place, rtt_s: float, bits_per_s: float, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    store_port = start_store(place)

    def via(port: int) -> int:
        relay = place.start(
            f"relay-{port}", sys.executable, "-m", "tests.bench.tunnels.relay", str(port), str(rtt_s), str(bits_per_s),
            environ={"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        )  # fmt: skip
        assert relay.stdout is not None
        return int(relay.stdout.readline())

    tunnels = [PEERS[name](place, store_port, via) for name in options.peers]
    time.sleep(8 * rtt_s + 1)  # logins take some round trips
    found: dict[str, dict[str, float]] = {tunnel.name: {} for tunnel in tunnels}
    singles = [(tunnel, _single(tunnel)) for _ in range(SINGLE_GETS) for tunnel in tunnels]
    for tunnel in tunnels:
        times_s = [seconds for other, seconds in singles if other is tunnel]
        found[tunnel.name]["first GET, round trips"] = times_s[0] / rtt_s
        found[tunnel.name]["GET from rest, round trips"] = median(times_s[1:]) / rtt_s
    for work in WORKS:
        measured: dict[str, list[Measured]] = {}
        for _ in range(options.rounds):
            for tunnel in tunnels:
                measured.setdefault(tunnel.name, []).append(measure(tunnel, work, place.folder, 3))
        for name, each in measured.items():
            unit = "MB/s" if work.bulk else "requests/s"
            found[name][f"{work.name}, {unit}"] = median(one.rate for one in each)
            if not work.bulk:
                found[name][f"{work.name}, p50 round trips"] = median(one.p50_ms for one in each) / 1000 / rtt_s
    return found


def _single(tunnel: peers.Tunnel) -> float:
    """Seconds of one GET over a connection of its own, after some rest."""
    time.sleep(REST_S)
    url = urlsplit(tunnel.url + "k1")
    began = time.perf_counter()
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    connection.request("GET", url.path, headers=dict(header.split(": ", 1) for header in tunnel.headers))
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - began
    connection.close()
    if answer.status != 200 or len(body) != 1024:
        raise RuntimeError(f"{tunnel.name} answered {answer.status}")
    return seconds


def _shown(line: str, found: dict[str, dict[str, float]]) -> str:
    columns = list(next(iter(found.values())))
    rows = [f"| {line} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    rows += [
        f"| {name} | {' | '.join(f'{value:.0f}' if value > 20 else f'{value:.2f}' for value in values.values())} |"
        for name, values in found.items()
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
