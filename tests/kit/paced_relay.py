"""A TCP relay that passes so many bytes a second each way, like a thin line: in a process of its own.

So that neither its pace nor its kernel buffers depend on what the event loop under test is doing. Its buffers are
small: a line does not store seconds of traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from types import TracebackType
from typing import Final, Self

_CHUNK_BYTES: Final = 8 * 1024
_BUFFER_BYTES: Final = 32 * 1024


class PacedRelay:
    """Starts the relay towards ``target_port``; ``port`` is where to connect instead."""

    def __init__(self, target_port: int, bits_per_s: float) -> None:
        self._arguments = (str(target_port), str(bits_per_s))
        self.port = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.kit.paced_relay", *self._arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = json.loads(await self._process.stdout.readline())["port"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()


async def _run(target_port: int, bytes_per_s: float) -> None:
    pumps: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)  # inherited by what is accepted
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    listening.setblocking(False)
    sys.stdout.write(json.dumps({"port": listening.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    while True:
        near, _ = await loop.sock_accept(listening)
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(far, ("127.0.0.1", target_port))
        for source, sink in ((near, far), (far, near)):
            pump = asyncio.create_task(_pump(source, sink, bytes_per_s), name="pump")
            pumps.add(pump)
            pump.add_done_callback(pumps.discard)


async def _pump(source: socket.socket, sink: socket.socket, bytes_per_s: float) -> None:
    """As a line does: each byte takes its time, and no more than 5 ms without bytes are saved up."""
    loop = asyncio.get_running_loop()
    free_at = time.monotonic()
    with contextlib.suppress(OSError):
        while chunk := await loop.sock_recv(source, _CHUNK_BYTES):
            now = time.monotonic()
            free_at = max(free_at, now - 0.005) + len(chunk) / bytes_per_s
            if free_at - now > 0.002:  # below that a sleep costs more than it is long
                await asyncio.sleep(free_at - now)
            await loop.sock_sendall(sink, chunk)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), float(sys.argv[2]) / 8))
