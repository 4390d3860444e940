"""``make bench-wan``: one GET from rest, many at once, and large transfers, over long lines; tables, and JSON."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.tunnels.machine import described, sentence
from tests.bench.tunnels.peers import OPENSSH
from tests.bench.tunnels.place import MissingToolError, Place, require_tools
from tests.bench.tunnels.run import OUT, PEERS, end_on_sigterm, save, start
from tests.bench.tunnels.store import start_store
from tests.bench.tunnels.table import Column, table
from tests.bench.tunnels.wan_line import LineFigures, LongLine, Measure, measure_line

DEFAULT_PEERS: Final = ("direct", "openssh", "splice", "snitun", "ours")
"""The fast path saves CPU time, of which there is enough here, so ours is measured once."""

NOTE: Final = """\
Latencies are medians in round trips of the line. The line is a relay which ends TCP: it delays and paces bytes, and
neither loss, slow start nor the kernel's buffers of a real line are in it. So a new connection costs "direct" no round
trip of its own, as it would. A tunnel's client port or gateway is on the near side. snitun's requests come over TLS,
whose handshake goes through the tunnel for each new connection. "After a reconnect" and "second store" are measured
where the client connects again by itself and serves several stores: the others open a channel for each connection, so
that no GET is different from one from rest. "After a rest" here is {idle_s:g} s without any request.
"""


def main(arguments: Sequence[str]) -> int:
    """0 when all work was done; 1 when a tool is missing or an answer was wrong."""
    options = _options(arguments)
    end_on_sigterm()
    lines = [LongLine(rtt / 1000, rate * 1e6) for rtt in options.rtt_ms for rate in options.mbit_per_s]
    found: dict[str, LineFigures] = {}
    absent: dict[str, str] = {}
    try:
        require_tools()
        facts = described()
        for line in lines:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder, Place(Path(folder)) as place:
                store = start_store(place)
                tunnels, absent = start(options.peers, place, store, partial(line.relay, place))
                how = Measure(options.idle_s, options.rounds, options.bulk_mib)
                found[line.name] = measure_line(line, place, tunnels, how)
            print(_tables(line.name, found[line.name], absent), flush=True)
    except (MissingToolError, RuntimeError) as error:
        print(f"bench-wan: {error}", file=sys.stderr)
        return 1
    facts["load at the end"] = f"{os.getloadavg()[0]:.1f}"
    tables = [_tables(name, figures, absent) for name, figures in found.items()]
    head = [sentence(facts) + "\n", NOTE.format(idle_s=options.idle_s)]
    report: Mapping[str, object] = {
        "machine": facts,
        "rounds": options.rounds,
        "idle_s": options.idle_s,
        "absent": absent,
        "lines": found,
    }
    save("bench-wan", options.out, report, "\n".join([*head, *tables]))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-wan ARGS=...", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(DEFAULT_PEERS), help="default: all but two")
    parser.add_argument("--rtt-ms", nargs="+", type=int, default=[20, 100, 200], metavar="MS")
    parser.add_argument("--mbit-per-s", nargs="+", type=int, default=[100, 1000], metavar="RATE")
    parser.add_argument("--rounds", type=int, default=3, help="of everything but the single GETs; default 3")
    parser.add_argument(
        "--idle-s", type=float, default=20.0, metavar="SECONDS", help="before the first GET after a rest; default 20"
    )
    parser.add_argument("--bulk-mib", type=int, choices=(64, 256), default=64, help="of a large transfer; default 64")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="for bench-wan.json and bench-wan.md")
    return parser.parse_args(arguments)


def _tables(line: str, figures: LineFigures, absent: Mapping[str, str]) -> str:
    gets = [Column(title, values, digits=2) for title, values in figures["round trips"].items()]
    repeated = any(len(each) > 1 for values in figures["rates"].values() for each in values.values())
    loads = [
        Column(title, values, digits=1, spread=repeated, ratio_to=(OPENSSH,))
        for title, values in figures["rates"].items()
    ]
    return table(f"{line}: GET in round trips", gets, absent) + "\n" + table(line, loads, absent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
