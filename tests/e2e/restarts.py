"""An installation of real processes that is restarted as a service manager would, and the load that runs meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.kit.agent_process import AgentProcess
from tests.kit.raw_client import basic
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.server_process import ServerProcess
from tests.kit.socket_activation import listening_socket

API_KEY: Final = "APIKEY000APIKEY000APIKEY000APIKE"
SLUGS: Final = ("erp", "marketplace", "accounting", "shipping")
EXPORT_CHUNKS: Final = 40


class Shop(ScriptedStore):
    """Answers at once, but streams ``/api/orders`` for ``export_s`` seconds; counts the writes by their bodies."""

    def __init__(self, export_s: float) -> None:
        super().__init__(self._answer)
        self._pause_s = export_s / EXPORT_CHUNKS
        self.written: Counter[bytes] = Counter()
        self.exporting = asyncio.Event()

    async def _answer(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        if request.raw_head.startswith(b"POST "):
            self.written[request.body] += 1
            return ok(request.body)
        if b"/api/orders" not in request.raw_head:
            return ok(b"<products/>")
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (EXPORT_CHUNKS * 1000))
        self.exporting.set()
        for _ in range(EXPORT_CHUNKS):
            await asyncio.sleep(self._pause_s)  # the store's own work: it is what takes the time
            await connection.send(b"x" * 1000)
        return None


class Installation:
    """Server (on sockets that outlive it), agent and shop; ``restart_*`` is SIGTERM, the end, and a new process."""

    def __init__(self, directory: Path, export_s: float) -> None:
        self._directory = directory
        self.shop = Shop(export_s)
        self._sockets = {"ssh": listening_socket(), "gateway": listening_socket()}
        self._stack = AsyncExitStack()
        self._agent: AgentProcess
        self._server: ServerProcess
        self._toml = ""
        self._token = ""
        self.key = ""
        self.exit_codes: list[int] = []

    @property
    def port(self) -> int:
        """The gateway's port."""
        return _port(self._sockets["gateway"])

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.shop)
        self._server = await self._start_server()
        origin = f"http://127.0.0.1:{self.shop.port}/api/"
        address = f"127.0.0.1:{_port(self._sockets['ssh'])}"
        made = await self._server.api("post", "agents", name="shop", public_ssh_address=address)
        for slug in SLUGS:
            wish = {"name": slug, "mode": "on-premise", "agent": "shop", "store_url": origin, "api_key": API_KEY}
            await self._server.api("post", "connections", **wish)
        self.key = (await self._server.api("post", "client-keys", all_connections=True))["key"]
        self._token = made["access_token"]
        self._toml = f'[[stores]]\nurl = "{origin}"\nmethods = "write"\n'
        self._agent = await self._start_agent()
        await self._agent.event("tunnel.ready", 2)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._agent.__aexit__(kind, error, trace)
        await self._server.__aexit__(kind, error, trace)
        await self._stack.aclose()
        for sock in self._sockets.values():
            sock.close()

    async def restart_server(self) -> None:
        """SIGTERM, wait, start; returns when the new one listens."""
        self.exit_codes.append(await self._server.stop(limit_s=90))
        self._server = await self._start_server()

    async def restart_agent(self) -> None:
        """SIGTERM, wait, start; returns when the new one has its tunnels."""
        self._agent.signal(signal.SIGTERM)
        self.exit_codes.append(await self._agent.ended())
        self._agent = await self._start_agent()
        await self._agent.event("tunnel.ready", 2)

    async def _start_server(self) -> ServerProcess:
        return await ServerProcess(self._directory / "server", sockets=self._sockets).__aenter__()

    async def _start_agent(self) -> AgentProcess:
        return await AgentProcess(self._directory / "agent", self._toml, self._token).__aenter__()


@dataclass
class Load:
    """Requests from connections of their own, one attempt each; whatever is not a whole 200 is a failure."""

    port: int
    key: str
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    nonces: list[bytes] = field(default_factory=list)

    async def run(self, per_s: float, until: asyncio.Event) -> None:
        """Send at this pace, whatever the answers do, until the event; then wait for the answers."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        async with asyncio.TaskGroup() as group:
            while not until.is_set():
                group.create_task(self._one(self.sent), name=f"request-{self.sent}")
                self.sent += 1
                delay_s = began_at + self.sent / per_s - loop.time()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), max(delay_s, 0))

    async def export(self) -> None:
        """One long download."""
        await self._exchange(b"GET", SLUGS[0], b"/api/orders", b"", EXPORT_CHUNKS * 1000)

    async def _one(self, number: int) -> None:
        slug = SLUGS[number % len(SLUGS)]
        if number % 3:
            await self._exchange(b"GET", slug, b"/api/products", b"", len(b"<products/>"))
        else:
            nonce = b"<prestashop n='%d'/>" % number
            self.nonces.append(nonce)
            await self._exchange(b"POST", slug, b"/api/products", nonce, len(nonce))

    async def _exchange(self, method: bytes, slug: str, path: bytes, body: bytes, size: int) -> None:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        name = f"{method.decode()} {slug} at {began_at:.1f}"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            self.failures.append(f"{name}: connect: {error}")
            return
        try:
            writer.write(
                b"%b /%b%b HTTP/1.1\r\nHost: gateway\r\n" % (method, slug.encode(), path)
                + basic(self.key)
                + b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            received = await reader.read(-1)
        except OSError as error:
            self.failures.append(f"{name}: {error}")
            return
        finally:
            writer.transport.abort()
        head, _, answer = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 ") or len(answer) != size:
            self.failures.append(f"{name}: {received[:400]!r}")
        elif path != b"/api/orders":
            self.waits_s.append(loop.time() - began_at)


def _port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])
