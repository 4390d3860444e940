"""A long line: a TCP relay that holds bytes for half the round trip each way, and paces them; a process of its own.

``python -m tests.bench.tunnels.relay PORT RTT_S BITS_PER_S`` prints the port on which it listens. It ends TCP, so that
loss, slow start and the kernel's buffers of a real line are not in it. SIGUSR1 cuts all connections that it carries.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections import deque

import uvloop

QUEUE_MAX_S = 0.02
"""What is taken in ahead of the pace: a line stores little beside what travels on it."""

_READ_BYTES = 1 << 16


class Line:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, target: socket.socket, delay_s: float, bytes_per_s: float) -> None:
        self._source = source
        self._target = target
        self._delay_s = delay_s
        self._bytes_per_s = bytes_per_s
        self._travelling: deque[tuple[float, bytes]] = deque()
        self._more = asyncio.Event()

    async def run(self) -> None:
        """Until the source ends and everything has arrived."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take())
            group.create_task(self._deliver())

    async def _take(self) -> None:
        loop = asyncio.get_running_loop()
        free_at = loop.time()
        while True:
            data = await loop.sock_recv(self._source, _READ_BYTES)
            free_at = max(free_at, loop.time()) + len(data) / self._bytes_per_s
            self._travelling.append((free_at + self._delay_s, data))
            self._more.set()
            if not data:
                return
            if free_at - loop.time() > QUEUE_MAX_S:
                await asyncio.sleep(free_at - loop.time() - QUEUE_MAX_S / 2)

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._travelling:
                self._more.clear()
                await self._more.wait()
            due, data = self._travelling.popleft()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                with contextlib.suppress(OSError):
                    self._target.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(self._target, data)


async def relay(port: int, rtt_s: float, bits_per_s: float) -> None:
    """Serve until the process ends."""
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    print(listening.getsockname()[1], flush=True)
    tasks: set[asyncio.Task[None]] = set()

    async def both(near: socket.socket) -> None:
        far = socket.socket()
        far.setblocking(False)
        try:
            await loop.sock_connect(far, ("127.0.0.1", port))
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines = (Line(near, far, rtt_s / 2, bits_per_s / 8), Line(far, near, rtt_s / 2, bits_per_s / 8))
            await asyncio.gather(*(line.run() for line in lines))
        except* OSError:
            pass
        finally:
            near.close()
            far.close()

    def cut() -> None:
        for task in tasks:
            task.cancel()

    loop.add_signal_handler(signal.SIGUSR1, cut)
    while True:
        near, _ = await loop.sock_accept(listening)
        near.setblocking(False)
        task = loop.create_task(both(near))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    uvloop.run(relay(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
