"""How much memory a large upload and a large download cost when the reading side is slow. Run by hand:

    python tests/bench/memory.py --size-gb 2

Server and agent run as processes of their own, the store as a third; this one is the client. The resident set of
server and agent is looked at every 20 ms. The script fails when either grows by more than its SSH window and 32 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agent.forward.target import ForwardTimeouts
from agent.tunnel.config import TunnelConfig
from agent.tunnel.token import parse_token
from tests.kit.cluster import CLIENT_KEY, LOOPBACK, Cluster, ClusterAgent, Link, loopback_store
from tests.kit.raw_client import basic

ALLOWED_MB = 32
SMALL_BYTES = 1024
PIECE = b"x" * (256 * 1024)
SAMPLE_S = 0.02
FIRST_PAUSE_S = 5.0
STEP_BYTES = 32 << 20
STEP_PAUSE_S = 0.1


async def read_all(reader: asyncio.StreamReader, size: int, *, slowly: bool) -> None:
    """Read exactly ``size`` bytes; slowly: nothing for five seconds, then 32 MiB at a time with pauses."""
    if slowly:
        await asyncio.sleep(FIRST_PAUSE_S)
    left = size
    while left:
        data = await reader.read(min(left, 1 << 18))
        if not data:
            raise ConnectionError(f"the stream ended {left} bytes early")
        before, left = left, left - len(data)
        if slowly and before // STEP_BYTES != left // STEP_BYTES:
            await asyncio.sleep(STEP_PAUSE_S)


# -- the other processes ------------------------------------------------------------------------------------------


async def run_store() -> None:
    """A store: GET /api/products/SIZE answers so many bytes; a POST is read, slowly when it is large."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b" ", 2)
                size = int(target.rsplit(b"/", 1)[1])
                answer_bytes = size if method == b"GET" else 0
                if method != b"GET":
                    await read_all(reader, size, slowly=size > SMALL_BYTES)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % answer_bytes)
                while answer_bytes:
                    piece = PIECE[: min(len(PIECE), answer_bytes)]
                    writer.write(piece)
                    await writer.drain()
                    answer_bytes -= len(piece)
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    _say({"port": server.sockets[0].getsockname()[1]})
    await _parent_is_gone()


async def run_server(store_port: int) -> None:
    """The server: SSH endpoint and gateway."""
    async with Cluster([Link("shop", loopback_store(store_port))], agents=0) as cluster:
        _say({"port": cluster.port, "token": cluster.token.encode()})
        await cluster.wait_tunnels(1, timeout_s=60)
        _say({"ready": True})
        await _parent_is_gone()


async def run_agent(store_port: int) -> None:
    """The agent; its token comes by standard input."""
    token = parse_token(await asyncio.to_thread(sys.stdin.readline))
    agent = ClusterAgent(token, [Link("shop", loopback_store(store_port))], ForwardTimeouts(), TunnelConfig(tunnels=1))
    agent.start()
    await _parent_is_gone()
    await agent.stop()


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def _parent_is_gone() -> None:
    await asyncio.to_thread(sys.stdin.read)


# -- this process -------------------------------------------------------------------------------------------------


@dataclass
class Watched:
    """One process whose memory is looked at."""

    name: str
    process: asyncio.subprocess.Process
    base_kb: int = 0
    peak_kb: int = 0
    cpu_s: float = 0.0

    def begin(self) -> None:
        """Growth counts from here."""
        self.base_kb = self.peak_kb = self._rss_kb()
        self.cpu_s = self._cpu_s()

    def look(self) -> None:
        """Take one sample."""
        self.peak_kb = max(self.peak_kb, self._rss_kb())

    @property
    def growth_mb(self) -> float:
        """Peak above the beginning."""
        return (self.peak_kb - self.base_kb) / 1024

    @property
    def used_cpu_s(self) -> float:
        """CPU time since the beginning."""
        return self._cpu_s() - self.cpu_s

    def _rss_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Bench:
    """All processes of one run."""

    uvloop: bool
    watched: list[Watched] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    gateway_port: int = 0

    async def start(self) -> None:
        """Start store, server and agent, and wait for the tunnel."""
        store = await self._spawn("store")
        store_port = str((await self._hear(store))["port"])
        server = await self._spawn("server", store_port)
        told = await self._hear(server)
        self.gateway_port = int(str(told["port"]))
        agent = await self._spawn("agent", store_port)
        assert agent.stdin is not None
        agent.stdin.write(f"{told['token']}\n".encode())
        await agent.stdin.drain()
        await self._hear(server)
        self.watched = [Watched("server", server), Watched("agent", agent)]

    async def close(self) -> None:
        """End what was started."""
        for process in reversed(self.processes):
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            *(["--uvloop"] if self.uvloop else []),
            "--role",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    async def _hear(self, process: asyncio.subprocess.Process) -> dict[str, object]:
        """The next line of JSON; log lines are passed over."""
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while line := await process.stdout.readline():
                if line.startswith(b"{"):
                    told: dict[str, object] = json.loads(line)
                    return told
        raise ConnectionError("a process of the bench ended")

    async def measure(self, name: str, transfer: Callable[[], Awaitable[None]], size: int) -> float:
        """Run ``transfer`` and print what it cost; returns the largest growth in MB."""
        for watched in self.watched:
            watched.begin()
        began_at = time.perf_counter()
        task = asyncio.ensure_future(transfer())
        while not task.done():
            await asyncio.wait([task], timeout=SAMPLE_S)
            for watched in self.watched:
                watched.look()
        await task
        elapsed_s = time.perf_counter() - began_at
        for watched in self.watched:
            cpu_s_per_gb = watched.used_cpu_s / (size / 1e9)
            print(
                f"{name:9} {watched.name:7} rss {watched.base_kb / 1024:6.1f} MB, growth {watched.growth_mb:6.1f} MB, "
                f"cpu {cpu_s_per_gb:5.2f} s/GB, {size / 1e6 / elapsed_s:6.1f} MB/s",
                flush=True,
            )
        return max(watched.growth_mb for watched in self.watched)

    async def download(self, size: int, *, slowly: bool) -> None:
        """GET with a client that reads slowly."""
        async with self._client("GET", size) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
            await read_all(reader, size, slowly=slowly)

    async def upload(self, size: int) -> None:
        """POST to a store that reads slowly."""
        async with self._client("POST", size) as (reader, writer):
            left = size
            while left:
                piece = PIECE[: min(len(PIECE), left)]
                writer.write(piece)
                await writer.drain()
                left -= len(piece)
            status = await reader.readuntil(b"\r\n\r\n")
            assert status.startswith(b"HTTP/1.1 200"), status

    @contextlib.asynccontextmanager
    async def _client(self, method: str, size: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.gateway_port)
        head = f"{method} /shop/api/products/{size} HTTP/1.1\r\nHost: gateway\r\n"
        if method == "POST":
            head += f"Content-Length: {size}\r\n"
        writer.write(head.encode() + basic(CLIENT_KEY) + b"\r\n")
        try:
            yield reader, writer
        finally:
            writer.close()


async def run_bench(size: int, *, uvloop: bool) -> int:
    """The whole run; returns the exit code."""
    bench = Bench(uvloop)
    try:
        await bench.start()
        await bench.download(SMALL_BYTES, slowly=False)
        await bench.upload(SMALL_BYTES)
        grown = [
            await bench.measure("download", lambda: bench.download(size, slowly=True), size),
            await bench.measure("upload", lambda: bench.upload(size), size),
        ]
    finally:
        await bench.close()
    allowed_mb = TunnelConfig().channel_window_bytes / 2**20 + ALLOWED_MB
    verdict = "within" if max(grown) <= allowed_mb else "OVER"
    print(f"largest growth {max(grown):.1f} MB, {verdict} the limit of {allowed_mb:.0f} MB")
    return 0 if verdict == "within" else 1


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="memory of server and agent under a large transfer")
    parser.add_argument("--size-gb", type=float, default=2.0)
    parser.add_argument("--uvloop", action="store_true", help="run server, agent and store on uvloop")
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.uvloop:
        import uvloop

        uvloop.install()
    if not arguments.role:
        return asyncio.run(run_bench(int(arguments.size_gb * 1e9), uvloop=arguments.uvloop))
    role, *rest = arguments.role
    roles: dict[str, Callable[..., Awaitable[None]]] = {"store": run_store, "server": run_server, "agent": run_agent}
    asyncio.run(roles[role](*map(int, rest)))  # type: ignore[arg-type]  # they are coroutine functions
    return 0


if __name__ == "__main__":
    sys.exit(main())
