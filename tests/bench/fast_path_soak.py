"""``make soak``: random SSH packets from the fast path to asyncssh and back, compared byte for byte.

Each round is a connection with a seed of its own, printed, so that it can be had again: ``--seed S --packets N``.
Ends without the fast path, keys that are exchanged anew every 300 kB, and pieces of the stream that are torn apart
take turns. 1 when a byte differed, a nonce was used twice, or the fast path was not really on.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import uvloop

from agent.tunnel import fastpath_check
from tests.kit.nonces import Nonces, counted_nonces
from tests.kit.random_traffic import random_traffic
from tests.kit.ssh_pair import ssh_pair

ROUND_PACKETS = 10_000
TORN_ROUND_PACKETS = 1000  # each of its pieces is a turn of the loop
REKEY_BYTES = 300_000


class Kind(NamedTuple):
    """What a round is like."""

    fast_client: bool
    fast_server: bool
    cipher: str
    rekey_bytes: int
    piece_bytes: int


KINDS = tuple(
    Kind(client, server, f"aes{bits}-gcm@openssh.com", rekey_bytes, piece_bytes)
    for rekey_bytes, piece_bytes in ((1 << 34, 0), (REKEY_BYTES, 0), (1 << 34, 1399))
    for bits in (128, 256)
    for client, server in ((True, False), (False, True), (True, True))
)


def main(arguments: Sequence[str]) -> int:
    """0 when all packets arrived as they were sent."""
    options = _options(arguments)
    if reason := fastpath_check.why_not():
        print(f"soak: there is no fast path: {reason}", file=sys.stderr)
        return 1
    return uvloop.run(_soak(options))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak ARGS=...", description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000, help="packets on the fast path; default 1,000,000")
    parser.add_argument("--seed", type=int, help="of the first round; default: drawn")
    parser.add_argument("--minutes", type=float, default=30, help="stop after so long, with 1; default 30")
    return parser.parse_args(arguments)


async def _soak(options: argparse.Namespace) -> int:
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    began, packets, rounds = time.monotonic(), 0, 0
    while packets < options.packets:
        if time.monotonic() - began > options.minutes * 60:
            print(f"soak: {packets} packets after {options.minutes:g} min, which is all the time there was")
            return 1
        kind = KINDS[seed % len(KINDS)]
        writes = min(TORN_ROUND_PACKETS if kind.piece_bytes else ROUND_PACKETS, options.packets - packets)
        print(f"round {rounds}, --seed {seed}: {kind}", flush=True)
        try:
            packets += await _round(kind, seed, writes)
        except AssertionError as error:
            print(f"soak: failed with --seed {seed} --packets {writes}: {str(error) or 'the bytes differ'}")
            return 1
        seed, rounds = (seed + 1) % (1 << 32), rounds + 1
        print(f"  {packets} packets on the fast path, {time.monotonic() - began:.0f} s", flush=True)
    print(f"soak: {packets} packets in {rounds} rounds arrived as they were sent")
    return 0


async def _round(kind: Kind, seed: int, writes: int) -> int:
    """Packets that the fast path sent and received."""
    with counted_nonces() as nonces:
        return await _traffic(kind, seed, writes, nonces)


async def _traffic(kind: Kind, seed: int, writes: int, nonces: Nonces) -> int:
    async with ssh_pair(
        fast_client=kind.fast_client,
        fast_server=kind.fast_server,
        cipher=kind.cipher,
        rekey_bytes=kind.rekey_bytes,
        piece_bytes=kind.piece_bytes,
    ) as pair:
        await random_traffic(pair, seed, writes)
        paths = [end.path for end in (pair.client, pair.server) if end.path is not None]
        counts = [count for path in paths for count in (path.packets_sent, path.packets_received)]
        assert min(counts) > writes / 8, f"only {counts} packets took the fast path"
        assert nonces.twice == 0, "a nonce was used twice"
        return sum(counts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
