"""One installation of the matrix: server, agent, store and fault proxy, each a process, used cell after cell.

client -> server <- [way "link"] <- agent -> [way "store"] -> store
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.local_socket import SOCKET_NAME
from tests.faults.caller import Caller
from tests.faults.child import Child
from tests.faults.ledger import Verb, Wish, content
from tests.faults.row import LIMIT_S
from tests.kit.agent_process import AgentProcess
from tests.kit.raw_client import basic
from tests.kit.server_process import ServerProcess
from tests.kit.until import until

SLUG = "matrix"
TUNNELS = 2
CONCURRENCY = 50  # the most that a connection may have: of 64 requests 14 wait for their turn
API_KEY = "MATRIX0KEY0MATRIX0KEY0MATRIX0KEY"
CLIENT_HEAD_S = 1.5
CLIENT_STALL_S = 1.5
WELL_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """The dead-link limit of both sides in seconds; None leaves both at their defaults."""

    silence_s: float | None = LIMIT_S


class Lane:
    """``async with`` starts everything and waits until the tunnels are up."""

    def __init__(self, directory: Path, limits: LaneLimits | None = None) -> None:
        self._directory = directory
        self._limits = limits or LaneLimits()
        self._patience_s = WELL_PATIENCE_S
        self._numbers = count(1)
        self._stack = AsyncExitStack()
        self._server_stack = AsyncExitStack()
        self._agent_stack = AsyncExitStack()
        self._store_port = self._link_port = 0
        self._token = self._key = ""
        self._lost_before = self._ready_before = 0
        self.proxy = Child("tests.faults.proxy")
        self.store = Child("tests.faults.store")
        self.server: ServerProcess | None = None
        self.agent: AgentProcess | None = None
        self.log: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every process."""
        await self._agent_stack.aclose()
        await self._server_stack.aclose()
        await self._stack.aclose()

    # -- requests ------------------------------------------------------------------------------------------------

    def wish(self, verb: Verb, size_bytes: int = 64) -> Wish:
        """A request with a nonce of its own."""
        return Wish(verb, size_bytes, f"n{next(self._numbers)}x")

    def head(self, wish: Wish, body_bytes: int | None = None) -> bytes:
        """The head of a GET, or of a POST with a body of so many bytes."""
        method, length = ("GET", "") if body_bytes is None else ("POST", f"Content-Length: {body_bytes}\r\n")
        return f"{method} /{SLUG}{wish.target} HTTP/1.1\r\nHost: g\r\n{length}".encode() + basic(self._key) + b"\r\n"

    def body(self, wish: Wish, body_bytes: int) -> bytes:
        """The body that the store expects."""
        return content(wish.nonce, body_bytes)

    async def call(self, wish: Wish) -> Caller:
        """A connection to the gateway. Raises ``ConnectionError`` when there is no server."""
        if self.server is None:
            raise ConnectionRefusedError
        caller = Caller(wish)
        await caller.open(self.server.gateway_port)
        return caller

    # -- the fault -----------------------------------------------------------------------------------------------

    async def be_patient(self, patience_s: float) -> None:
        """Have the agent wait so long for the store, from now on; by a reload, as a person would."""
        if patience_s == self._patience_s:
            return
        self._patience_s = patience_s
        agent = self._agent
        agent.write(self._toml())
        before = sum(event["event"] == "settings.reloaded" for event in agent.events)
        agent.signal(signal.SIGHUP)
        await agent.event("settings.reloaded", before + 1)

    async def tell_server(self, number: signal.Signals, answer: str) -> None:
        """Signal the server, and wait until it says this."""
        server = self.server
        assert server is not None
        os.kill(server.pid, number)
        await until(lambda: any(event["event"] == answer for event in server.log))

    async def tell_agent(self, number: signal.Signals, answer: str) -> None:
        """Signal the agent, and wait until it says this."""
        self._agent.signal(number)
        await self._agent.event(answer)

    async def stop_server(self, number: signal.Signals | None) -> int:
        """Signal the server, unless it was told before, and wait for its end; its exit code."""
        server = self.server
        assert server is not None
        code = await server.stop(0 if number is None else number)  # 0 reaches nobody: kill(2)
        self.server = None
        self.log += server.log
        await self._server_stack.aclose()
        self._server_stack = AsyncExitStack()
        return code

    async def start_server(self) -> None:
        """Start it on the same data; agents find it through the proxy."""
        server = ServerProcess(self._directory / "data", environment=self._server_environment())
        await self._server_stack.enter_async_context(server)
        await self.proxy.ask("target", way="link", port=server.ready["ssh"]["port"])
        self.server = server

    async def stop_agent(self, number: signal.Signals | None) -> int:
        """Signal the agent, unless it was told before, and wait for its end; its exit code."""
        agent = self._agent
        if number is not None:
            agent.signal(number)
        code = await agent.ended()
        self.log += agent.events
        self.agent = None
        await self._agent_stack.aclose()
        self._agent_stack = AsyncExitStack()
        return code

    async def start_agent(self) -> None:
        """Start it on the same state."""
        agent = AgentProcess(self._directory / "agent", self._toml(), self._token)
        self.agent = await self._agent_stack.enter_async_context(agent)
        self._lost_before = self._ready_before = 0

    # -- what is so ----------------------------------------------------------------------------------------------

    def mark(self) -> None:
        """A strike begins: forget what was, and count anew."""
        self.proxy.forget()
        self.store.forget()
        self._lost_before, self._ready_before = self._count("tunnel.lost"), self._count("tunnel.ready")
        self.log = []
        self._server_log_from = len(self.server.log) if self.server is not None else 0
        self._agent_log_from = len(self._agent.events)

    def said(self) -> list[dict[str, Any]]:
        """What server and agent have logged since ``mark``, in order."""
        server = self.server.log[self._server_log_from :] if self.server is not None and not self.log else []
        agent = self.agent.events[self._agent_log_from :] if self.agent is not None and not self.log else []
        if self.log:  # one of them was started anew
            server = self.server.log if self.server is not None else []
            agent = self.agent.events if self.agent is not None else []
        return sorted([*self.log, *server, *agent], key=lambda event: str(event.get("time", "")))

    @property
    def tunnels_lost(self) -> int:
        """Tunnels that the agent has lost since ``mark``, or since its start."""
        return self._count("tunnel.lost") - self._lost_before

    async def tunnels_up(self, new: int = 0, timeout_s: float = 30.0) -> None:
        """Until the agent has all its tunnels, ``new`` of them made since ``mark``, and the server knows of no more."""

        def agent_has() -> bool:
            assert self.agent is None or not self.agent.other_lines, self.agent.log
            made = self._count("tunnel.ready")
            return made - self._ready_before >= new and made - self._count("tunnel.lost") == TUNNELS

        await until(agent_has, timeout_s)
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            tunnels = (await self.server_status())["tunnels"]
            if len(tunnels) == TUNNELS and not any(tunnel["draining"] for tunnel in tunnels):
                return
            assert asyncio.get_running_loop().time() < deadline, f"the server has these tunnels: {tunnels}"

    async def server_status(self) -> dict[str, Any]:
        """What the server says of itself."""
        assert self.server is not None
        status: dict[str, Any] = await self.server.api("get", "status")
        return status

    async def agent_status(self) -> dict[str, Any]:
        """What the agent says of itself, over its own socket."""
        reader, writer = await asyncio.open_unix_connection(self._directory / "agent" / "run" / SOCKET_NAME)
        try:
            writer.write(b'{"command": "status"}\n')
            status: dict[str, Any] = json.loads(await reader.readline())
        finally:
            writer.close()
            await writer.wait_closed()
        return status

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _agent(self) -> AgentProcess:
        assert self.agent is not None
        return self.agent

    def _count(self, name: str) -> int:
        return sum(event["event"] == name for event in self._agent.events) if self.agent is not None else 0

    async def _start(self) -> None:
        await self._stack.enter_async_context(self.proxy)
        await self._stack.enter_async_context(self.store)
        self._store_port = await self.proxy.ask("open", way="store", target_port=await self.store.ask("open"))
        self._link_port = await self.proxy.ask("open", way="link")
        await self.start_server()
        server = self.server
        assert server is not None
        made = await server.api("post", "agents", name="matrix", public_ssh_address=f"127.0.0.1:{self._link_port}")
        self._token = made["access_token"]
        store = {"mode": "on-premise", "agent": "matrix", "store_url": f"http://127.0.0.1:{self._store_port}/api/"}
        await server.api("post", "connections", name=SLUG, api_key=API_KEY, concurrency=CONCURRENCY, **store)
        self._key = (await server.api("post", "client-keys", all_connections=True))["key"]
        await self.start_agent()
        await self.tunnels_up(TUNNELS)

    def _server_environment(self) -> dict[str, str]:
        settings = {
            "GATEWAY__CLIENT_HEAD_TIMEOUT_S": CLIENT_HEAD_S,
            "GATEWAY__CLIENT_STALL_TIMEOUT_S": CLIENT_STALL_S,
            "DRAIN_TIMEOUT_S": 15,
        }
        if self._limits.silence_s is not None:
            settings |= {"SSH__SILENCE_TIMEOUT_S": self._limits.silence_s, "SSH__HEARTBEAT_INTERVAL_S": 1}
        return {f"INTEGRATION_SERVER_{name}": str(value) for name, value in settings.items()}

    def _toml(self) -> str:
        limits = self._limits
        heartbeat = f"[heartbeat]\ninterval_s = 1\nsilence_s = {limits.silence_s:g}\n" if limits.silence_s else ""
        return (
            f"tunnels = {TUNNELS}\n"
            f"[timeouts]\nstore_first_byte_s = {self._patience_s:g}\nstore_stall_s = {self._patience_s:g}\n"
            "drain_s = 15\n[reconnect]\nfirst_s = 0.05\nmax_s = 1\nstable_s = 1\n"
            f'{heartbeat}[[stores]]\nurl = "http://127.0.0.1:{self._store_port}/api/"\nmethods = "write"\n'
            "max_connections = 200\n"
        )
