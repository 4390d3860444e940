"""What both runs share: which peers start, what they say of those that cannot, and where the results go."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench.tunnels import peers
from tests.bench.tunnels.ours import ours, ours_without_fast_path
from tests.bench.tunnels.peers import Start, Tunnel, Via
from tests.bench.tunnels.place import ROOT, AbsentPeerError, Place
from tests.bench.tunnels.store import StorePorts

PEERS: Final[Mapping[str, Start]] = {
    "direct": peers.direct,
    "openssh-N": peers.openssh_default,
    "openssh": peers.openssh_command,
    "splice": peers.splice,
    "snitun": peers.snitun,
    "ours-stock": ours_without_fast_path,
    "ours": ours,
}

OUT: Final = ROOT / "out"


def start(names: Sequence[str], place: Place, store: StorePorts, via: Via) -> tuple[list[Tunnel], dict[str, str]]:
    """The peers of these names; of those that cannot run here, why."""
    tunnels: list[Tunnel] = []
    absent: dict[str, str] = {}
    for name in names:
        try:
            tunnels.append(PEERS[name](place, store, via))
        except AbsentPeerError as error:
            absent[name] = str(error)
    return tunnels, absent


def end_on_sigterm() -> None:
    """Leave on SIGTERM as on Ctrl-C, so that the processes of the run end with it."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))


def save(name: str, folder: Path, report: Mapping[str, object], tables: str) -> None:
    """Write ``NAME.json`` and ``NAME.md``, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / f"{name}.md").write_text(tables)
    print(f"written: {folder}/{name}.json, {folder}/{name}.md", file=sys.stderr)
