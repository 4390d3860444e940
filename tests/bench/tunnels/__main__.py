"""``make bench``: the same work through each tunnel in turn, again and again; a table, and JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tests.bench.tunnels import peers
from tests.bench.tunnels.load import WORKS, Measured, Work, measure
from tests.bench.tunnels.place import MissingToolError, Place, run
from tests.bench.tunnels.store import start_store
from tests.bench.tunnels.table import shown
from tests.bench.tunnels.usage import resident_mb

PEERS = {
    "direct": peers.direct,
    "openssh-N": peers.openssh_default,
    "openssh": peers.openssh_command,
    "splice": peers.splice,
    "ours-stock": peers.ours_without_fast_path,
    "ours": peers.ours,
}


def main(arguments: Sequence[str]) -> int:
    """0 when all work was done; 1 when a tool is missing or an answer was wrong."""
    options = _options(arguments)
    works = [work for work in WORKS if not options.only or any(word in work.name for word in options.only)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Place(Path(folder)) as place:
        try:
            store_port = start_store(place)
            tunnels = [PEERS[name](place, store_port, lambda port: port) for name in options.peers]
            results = _rounds(tunnels, works, place, options)
        except (MissingToolError, RuntimeError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        memory = {tunnel.name: resident_mb(tunnel.pids()) for tunnel in tunnels if tunnel.pids()}
    print(shown(results, memory))
    if options.json is not None:
        options.json.write_text(json.dumps(_report(results, memory, options), indent=1) + "\n")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--only", nargs="+", metavar="WORDS", help="work whose name holds one of these")
    parser.add_argument("--rounds", type=int, default=5, help="how often; default 5")
    parser.add_argument("--seconds", type=int, default=3, help="of each piece of work with requests; default 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement")
    return parser.parse_args(arguments)


def _rounds(
    tunnels: list[peers.Tunnel], works: list[Work], place: Place, options: argparse.Namespace
) -> dict[str, dict[str, list[Measured]]]:
    """Work by work, round by round, every tunnel in turn: what disturbs the machine disturbs all of them."""
    results: dict[str, dict[str, list[Measured]]] = {}
    for work in works:
        for tunnel in tunnels:
            measure(tunnel, work, place.folder, 1)  # channels, connections and caches are warm then
        for number in range(options.rounds):
            for tunnel in tunnels:
                found = measure(tunnel, work, place.folder, options.seconds)
                results.setdefault(work.name, {}).setdefault(tunnel.name, []).append(found)
            print(f"{work.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
    return results


def _report(
    results: dict[str, dict[str, list[Measured]]], memory: dict[str, float], options: argparse.Namespace
) -> dict[str, object]:
    return {
        "machine": {"cpu": _cpu_name(), "kernel": platform.release(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("asyncssh", "cryptography", "uvloop")}
        | {"openssh": run(("sh", "-c", "ssh -V 2>&1")).strip(), "nginx": run(("sh", "-c", "nginx -v 2>&1")).strip()},
        "seconds": options.seconds,
        "resident_mb": memory,
        "work": {
            work: {
                name: {
                    field: {"median": median(values), "all": values}
                    for field in Measured.__dataclass_fields__
                    for values in [[getattr(each, field) for each in measured]]
                }
                for name, measured in by_tunnel.items()
            }
            for work, by_tunnel in results.items()
        },
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
