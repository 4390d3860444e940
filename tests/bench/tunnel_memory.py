"""What an idle tunnel costs a server in resident memory: ours, beside asyncssh as it comes. Run by hand:

    python -m tests.bench.tunnel_memory --tunnels 300

Ours is ``integration-server serve`` and the product's supervisors, with a control channel and one channel, and then
with the two more that a first request leaves. asyncssh's server is that of the splice; its clients ask it to forward a
port. In both some tunnels come first, so that what a server loads once is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncssh
import uvloop

from tests.bench.herd_processes import ROOT, Clients, Server, Usage
from tests.bench.tunnels.place import free_port
from tests.bench.tunnels.splice import CIPHER, LOOPBACK

FIRST = 20
TIMES_MAX = 1.8
"""1.5 for the tunnel itself, and 5 kB for the channel that ours has from the first moment on."""


async def stock_kb(tunnels: int) -> float:
    """Per tunnel of asyncssh as it comes."""
    port = free_port()
    command = (sys.executable, "-m", "tests.bench.tunnels.splice", "server", str(port))
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert server.stdout is not None
        await server.stdout.readline()
        kept = [await _stock_tunnel(port) for _ in range(FIRST)]
        before = Usage.of(server.pid).resident_kb
        kept += [await _stock_tunnel(port) for _ in range(tunnels)]
        grown = Usage.of(server.pid).resident_kb - before
        for conn in kept:
            conn.abort()
    finally:
        server.terminate()
        await server.wait()
    return grown / tunnels


async def _stock_tunnel(port: int) -> asyncssh.SSHClientConnection:
    conn = await asyncssh.connect(
        LOOPBACK, port, known_hosts=None, username="bench", client_keys=None, config=None, encryption_algs=CIPHER
    )
    await conn.forward_remote_port(LOOPBACK, 0, LOOPBACK, 9)
    return conn


async def our_kb(tunnels: int) -> tuple[float, float]:
    """Per tunnel of ours: at rest, and with two warm channels."""
    with tempfile.TemporaryDirectory(prefix="memory-") as place:
        server = Server(Path(place) / "server")
        try:
            await server.start()
            tokens = await server.register(FIRST + tunnels)
            key = await _connections(server, FIRST + tunnels)
            await server.stop(signal.SIGTERM)
            await server.start()  # a new process, so that the memory of making all that does not count
            async with Clients() as clients:
                await clients.add(_order(tokens[:FIRST], 1), Path(place))
                await clients.tell("start")
                await _get(server.process.gateway_port, key, range(FIRST))
                before = server.usage().resident_kb
                await clients.add(_order(tokens[FIRST:], 2), Path(place))
                await clients.tell("start")
                idle = server.usage().resident_kb - before
                await _get(server.process.gateway_port, key, range(FIRST, FIRST + tunnels))
                warm = server.usage().resident_kb - before
        finally:
            await server.end()
    return idle / tunnels, warm / tunnels


def _order(tokens: list[str], part: int) -> dict[str, Any]:
    agents = [
        {"token": token, "address": f"127.{9 + part}.{number // 250}.{number % 250 + 1}", "group": "own"}
        for number, token in enumerate(tokens)
    ]
    return {"agents": agents, "tunnels": 1, "seed": part, "batch": 16}


async def _connections(server: Server, count: int) -> str:
    """One for each agent; a client key for all."""
    for number in range(count):
        names = {"name": f"shop-{number}", "agent": f"herd {number}"}
        wish = {"mode": "on-premise", "store_url": "http://shop.test/", "api_key": "A" * 32}
        await server.process.api("post", "connections", **names, **wish)
    return str((await server.process.api("post", "client-keys", all_connections=True))["key"])


async def _get(port: int, key: str, numbers: range) -> None:
    """One request through each tunnel; whatever the answer, the channels that it wanted stay."""
    authorization = base64.b64encode(f"{key}:".encode()).decode()
    for number in numbers:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        head = f"GET /shop-{number}/api/products HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
            assert b" 502 " in answer[:20], answer[:200]  # the herd's sessions echo
        writer.close()


async def compare(tunnels: int) -> int:
    """Print all; 1 when an idle tunnel of ours costs more than it may."""
    stock = await stock_kb(tunnels)
    idle, warm = await our_kb(tunnels)
    for name, kb in (("asyncssh as it comes", stock), ("ours, idle, one channel", idle), ("ours, two more", warm)):
        print(f"{name:24} {kb:6.1f} kB per tunnel, {kb / stock:4.2f} x")
    return 0 if idle <= TIMES_MAX * stock else 1


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="memory of a server per idle tunnel")
    parser.add_argument("--tunnels", type=int, default=300)
    return uvloop.run(compare(parser.parse_args().tunnels))


if __name__ == "__main__":
    sys.exit(main())
