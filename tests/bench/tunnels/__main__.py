"""``make bench``: the same work through each tunnel in turn, again and again; tables, and JSON."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.tunnels.baseline import WORK, baseline_sentence
from tests.bench.tunnels.load import WORKS, Measured, Work, measure
from tests.bench.tunnels.machine import described, sentence
from tests.bench.tunnels.peers import OPENSSH, SPLICE, Tunnel
from tests.bench.tunnels.place import MissingToolError, Place, require_tools
from tests.bench.tunnels.run import OUT, PEERS, end_on_sigterm, save, start
from tests.bench.tunnels.store import start_store
from tests.bench.tunnels.table import Column, table
from tests.bench.tunnels.usage import bare_python_mb, resident_mb

Results = dict[str, dict[str, list[Measured]]]
Memory = dict[str, dict[str, float]]

NOTE = """\
Medians of {rounds} rounds, taken in turn; CPU is that of the tunnel's processes at both ends together. The tunnels that
are not ours move bytes; prestashop-agent also checks a client key and the policy (twice), puts the API key in, keeps
the error contract, and writes a log line at each end for each request. snitun's requests come over TLS, which nginx
and wrk do outside of its processes.
"""


def main(arguments: Sequence[str]) -> int:
    """0 when all work was done; 1 when a tool is missing or an answer was wrong."""
    options = _options(arguments)
    end_on_sigterm()
    works = [work for work in WORKS if not options.only or any(word in work.name for word in options.only)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Place(Path(folder)) as place:
        try:
            require_tools()
            facts = described()
            tunnels, absent = start(options.peers, place, start_store(place), lambda port: port)
            memory: Memory = {}
            for tunnel in tunnels:
                _note_memory(memory, tunnel, "at rest")
            results = _rounds(tunnels, works, place, options)
            for tunnel in tunnels:
                _note_memory(memory, tunnel, "after the work")
            bare_mb = bare_python_mb(place)
        except (MissingToolError, RuntimeError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    facts["load at the end"] = f"{os.getloadavg()[0]:.1f}"
    baseline = baseline_sentence({name: [each.cpu for each in found] for name, found in results.get(WORK, {}).items()})
    tables = "\n".join(
        [
            sentence(facts) + "\n",
            NOTE.format(rounds=options.rounds),
            *(_work_table(work, results[work.name], absent) for work in works),
            *([baseline + "\n"] if baseline else []),
            _memory_table(memory, bare_mb, absent),
        ]
    )
    print(tables)
    report: Mapping[str, object] = {
        "machine": facts,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "absent": absent,
        "baseline": baseline,
        "work": {
            work: {name: [asdict(each) for each in measured] for name, measured in by_tunnel.items()}
            for work, by_tunnel in results.items()
        },
        "resident_mb": {**memory, "a process that imports only asyncssh": {"at rest": bare_mb}},
    }
    save("bench", options.out, report, tables)
    if baseline:
        print(f"bench: {baseline}", file=sys.stderr)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--only", nargs="+", metavar="WORDS", help="work whose name holds one of these")
    parser.add_argument("--rounds", type=int, default=5, help="how often; default 5")
    parser.add_argument("--seconds", type=int, default=3, help="of each piece of work with requests; default 3")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="for bench.json and bench.md")
    return parser.parse_args(arguments)


def _rounds(tunnels: list[Tunnel], works: list[Work], place: Place, options: argparse.Namespace) -> Results:
    """Work by work, round by round, every tunnel in turn: what disturbs the machine disturbs all of them."""
    results: Results = {}
    for work in works:
        if not work.bulk:
            for tunnel in tunnels:
                measure(tunnel, work, place.folder, 1)  # channels, connections and caches are warm then
        for number in range(options.rounds):
            for tunnel in tunnels:
                found = measure(tunnel, work, place.folder, options.seconds)
                results.setdefault(work.name, {}).setdefault(tunnel.name, []).append(found)
            print(f"{work.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
    return results


def _note_memory(memory: Memory, tunnel: Tunnel, when: str) -> None:
    if tunnel.pids():
        ends = {f"server {when}": resident_mb(tunnel.server()), f"client {when}": resident_mb(tunnel.client())}
        memory.setdefault(tunnel.name, {}).update(ends)


def _work_table(work: Work, measured: Mapping[str, Sequence[Measured]], absent: Mapping[str, str]) -> str:
    def values(field: str) -> dict[str, list[float]]:
        return {name: [getattr(each, field) for each in found] for name, found in measured.items()}

    peers = (SPLICE, OPENSSH)
    if work.bulk:
        columns = [
            Column("MB/s", values("rate"), spread=True),
            Column("CPU s/GB", values("cpu"), digits=2, spread=True, ratio_to=peers),
        ]
    else:
        columns = [
            Column("requests/s", values("rate"), spread=True, ratio_to=peers),
            Column("p50 ms", values("p50_ms"), digits=2),
            Column("p99 ms", values("p99_ms"), digits=2),
            Column("CPU us/request", values("cpu"), spread=True, ratio_to=peers),
        ]
    return table(work.name, columns, absent)


def _memory_table(memory: Memory, bare_mb: float, absent: Mapping[str, str]) -> str:
    titles = list(dict.fromkeys(title for ends in memory.values() for title in ends))
    columns = [Column(t, {name: [ends[t]] for name, ends in memory.items()}) for t in titles]
    bare = table("for comparison", [Column("MB", {"a process that imports only asyncssh": [bare_mb]})], {})
    return table("resident MB", columns, absent) + "\n" + bare


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
