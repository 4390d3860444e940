"""The kernel's news of the network: what counts, what does not, and that it is told soon and not too often."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.network_watch import NetworkNews, NetworkWatch

NEWLINK, DELLINK, NEWADDR, NEWROUTE = 16, 17, 20, 24
RUNNING = 0x40


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + b"\0" * (-len(body) % 4)


def link(index: int, flags: int) -> bytes:
    return message(NEWLINK, struct.pack("=BxHiII", 0, 1, index, flags, 0))


def test_an_interface_counts_when_it_begins_to_run_and_not_for_what_else_is_told_of_it() -> None:
    news = NetworkNews()
    told = [news.is_news(link(2, flags)) for flags in (RUNNING, RUNNING, 0, 0, RUNNING, RUNNING | 1)]
    assert told == [False, False, False, False, True, False]
    assert not news.is_news(link(3, RUNNING)), "each interface has a state of its own"


@pytest.mark.parametrize(("kind", "counts"), [(NEWADDR, True), (NEWROUTE, True), (DELLINK, False), (3, False)])
def test_new_addresses_and_routes_count(kind: int, counts: bool) -> None:
    assert NetworkNews().is_news(message(kind)) is counts
    assert NetworkNews().is_news(message(DELLINK, b"12345") + message(kind)) is counts


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(datagram: bytes) -> None:
    assert NetworkNews().is_news(datagram) in (True, False)


async def test_changes_are_told_once_after_a_moment_and_then_not_for_a_while() -> None:
    told: list[float] = []
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def note() -> None:
        told.append(loop.time())
        changed.set()

    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    watch = NetworkWatch(note, settle_s=0.05, pause_s=0.3)
    watch._socket = ours
    loop.add_reader(ours, watch._readable)
    began_at = loop.time()
    for _ in range(3):
        kernel.send(message(NEWADDR))
    await changed.wait()
    assert told[0] - began_at >= 0.04
    changed.clear()
    kernel.send(message(NEWROUTE))
    await changed.wait()
    assert len(told) == 2
    assert told[1] - told[0] >= 0.29
    kernel.send(message(NEWROUTE))
    watch.close()
    kernel.close()


_REAL = """
import asyncio, subprocess
from agent.network_watch import NetworkWatch

async def main():
    changed = asyncio.Event()
    watch = NetworkWatch(changed.set, settle_s=0.01)
    watch.start()
    print(watch)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    await asyncio.wait_for(changed.wait(), 20)
    watch.close()
    print(watch)

asyncio.run(main())
"""


def test_the_kernel_tells_when_an_interface_comes_up() -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a network namespace of its own needs root, unshare (util-linux) and ip (iproute2)")
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", _REAL],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "<NetworkWatch on>"
    assert done.stdout.splitlines()[-1] == "<NetworkWatch off>"
