"""`prestashop-agent run` as a process against the real SSH endpoint: exchanges, drain, reload, restarts."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.server.registry import Change
from agent.server.tunnel import Tunnel
from agent.store_url import Store
from agent.tunnel.token import AccessToken, new_secret
from tests.kit.agent_process import AgentProcess
from tests.kit.scripted_store import Script, ScriptedStore, StoreConnection, StoreRequest, always_ok, ok
from tests.kit.ssh_servers import CollectingSession, TunnelServer, tunnel_server

ABSENT = AccessToken(("127.0.0.1:9",), ("SHA256:" + "A" * 43,), "agent-1", new_secret())
READ_TIMEOUT_S = 20


def table(port: int, more: str = "") -> str:
    return f'[[stores]]\nurl = "http://127.0.0.1:{port}/api/"\n{more}\n'


class HeldStore:
    """A script that answers its first request when told to; ``asked`` is set when it has come."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def script(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        if self.asked.is_set():
            return ok()
        self.asked.set()
        await self.answer.wait()
        return ok(b"<late/>")


@asynccontextmanager
async def connected(
    directory: Path, script: Script = always_ok, more: str = ""
) -> AsyncIterator[tuple[TunnelServer, ScriptedStore, AgentProcess]]:
    """Server, store, and an agent whose two tunnels are up."""
    async with tunnel_server() as server, ScriptedStore(script) as store:
        token = server.token(server.agents.add()).encode()
        async with AgentProcess(directory, table(store.port, more), token) as process:
            await process.event("tunnel.ready", 2)
            await server.wait_tunnels(2)
            yield server, store, process


async def ask(tunnel: Tunnel, port: int, path: str = "/api/products?limit=1&ws_key=k3y") -> CollectingSession:
    """Send one GET through a channel of its own."""
    session = CollectingSession()
    await tunnel.open_channel(session)
    await session.opened.wait()
    origin = f"http://127.0.0.1:{port}"
    session.channel.write(f"GET {origin}{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return session


async def answered(session: CollectingSession, end: bytes) -> bytes:
    """Wait until the answer ends with ``end``."""
    async with asyncio.timeout(READ_TIMEOUT_S):
        while not session.received.endswith(end):
            await session.wait_bytes(len(session.received) + 1)
            assert not session.lost.is_set(), bytes(session.received)
    return bytes(session.received)


async def test_an_exchange_passes_and_is_one_line_in_the_log(tmp_path: Path) -> None:
    async with connected(tmp_path, more='methods = "read"') as (server, store, process):
        tunnel = (await server.wait_tunnels(2))[0]
        (rule,) = tunnel.rules
        assert rule.store == Store("http", "127.0.0.1", store.port, "/")
        assert rule.methods == {"GET", "HEAD"}
        answer = await answered(await ask(tunnel, store.port), b"<prestashop/>")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        done = await process.event("exchange.done")
        assert done["target"].endswith("/api/products?limit&ws_key")
        assert (done["status"], done["method"]) == (200, "GET")
        assert done["level"] == "info"

        denied = await ask(tunnel, store.port, "/admin/index.php")
        await denied.wait_bytes(13)
        assert denied.received.startswith(b"HTTP/1.1 403 ")
        assert (await process.event("exchange.denied"))["error"] == "policy_denied"
        assert len(store.requests) == 1
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        for secret in ("k3y", server.agents.records["agent-1"][1], process.token):
            assert secret not in process.log
        assert process.other_lines == []


async def test_sigterm_lets_the_running_exchange_finish(tmp_path: Path) -> None:
    held = HeldStore()
    async with connected(tmp_path, held.script) as (server, store, process):
        tunnel = (await server.wait_tunnels(2))[0]
        session = await ask(tunnel, store.port)
        await held.asked.wait()
        process.signal(signal.SIGTERM)
        while not all(each.leaving for each in server.registry.tunnels("agent-1")):
            await server.next_event()
        # Nobody else could serve: it goes on until what ran has ended.
        assert len(server.registry.eligible("agent-1", Store("http", "127.0.0.1", store.port, "/"))) == 2
        await answered(await ask(tunnel, store.port), b"<prestashop/>")
        assert not any(each.draining for each in server.registry.tunnels("agent-1"))
        held.answer.set()
        assert (await answered(session, b"<late/>")).startswith(b"HTTP/1.1 200")
        assert (await process.event("agent.stopped"))["complete"] is True
        assert await process.ended() == 0
        await server.wait_tunnels(0)


async def test_a_second_signal_leaves_at_once(tmp_path: Path) -> None:
    held = HeldStore()
    async with connected(tmp_path, held.script) as (server, store, process):
        await ask((await server.wait_tunnels(2))[0], store.port)
        await held.asked.wait()
        process.signal(signal.SIGINT)
        await process.event("agent.leaving")
        process.signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await process.ended() == 130
        assert "Traceback" not in process.log
        held.answer.set()


async def test_sighup_swaps_the_stores_and_disturbs_no_exchange(tmp_path: Path) -> None:
    held = HeldStore()
    async with connected(tmp_path, held.script) as (server, store, process), ScriptedStore() as other:
        tunnel = (await server.wait_tunnels(2))[0]
        session = await ask(tunnel, store.port)
        await held.asked.wait()

        process.write(table(other.port, 'methods = "write"') + "tunnels_ = 1")
        process.signal(signal.SIGHUP)
        refused = await process.event("settings.refused")
        assert '"stores[0].tunnels_"' in refused["detail"]
        assert tunnel.rules[0].store.port == store.port

        process.write("tunnels = 3\n" + table(other.port, 'methods = "write"'))
        process.signal(signal.SIGHUP)
        assert (await process.event("settings.reloaded"))["stores"] == 1
        assert (await process.event("settings.need_restart"))["settings"] == "tunnels"
        process.signal(signal.SIGHUP)
        await process.event("settings.reloaded", 2)
        await process.event("settings.need_restart", 2)  # it still runs with two
        process.write(table(other.port, 'methods = "write"'))
        process.signal(signal.SIGHUP)
        await process.event("settings.reloaded", 3)
        while tunnel.rules[0].store.port != other.port:
            await server.next_event()
        assert "DELETE" in tunnel.rules[0].methods
        await answered(await ask(tunnel, other.port), b"<prestashop/>")
        held.answer.set()
        await answered(session, b"<late/>")
        closed = await ask(tunnel, store.port)
        assert b" 403 " in await closed.wait_bytes(13)
        assert len(server.changes(Change.READY)) == 2  # the tunnels were never renewed
        assert sum(event["event"] == "settings.need_restart" for event in process.events) == 2


async def test_the_instance_keeps_its_id_and_the_server_sees_a_returning_one(tmp_path: Path) -> None:
    async with tunnel_server() as server, ScriptedStore() as store:
        token = server.token(server.agents.add()).encode()
        seen = []
        for number in (signal.SIGTERM, signal.SIGINT):
            async with AgentProcess(tmp_path, "tunnels = 1\n" + table(store.port), token) as process:
                (tunnel,) = await server.wait_tunnels(1)
                seen.append(tunnel.instance_id)
                assert (await process.event("agent.starting"))["instance_id"] == tunnel.instance_id
                process.signal(number)
                assert await process.ended() == 0
            await server.wait_tunnels(0)
        assert seen[0] == seen[1] == str(uuid.UUID(seen[0]))


async def test_without_a_server_it_keeps_trying_and_still_stops_cleanly(tmp_path: Path) -> None:
    async with AgentProcess(tmp_path, "[reconnect]\nfirst_s = 0.05\n", ABSENT.encode()) as process:
        assert (await process.event("store.none"))["level"] == "warning"
        assert (await process.event("tunnel.unreachable"))["level"] == "warning"
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent.cli.main", "run", "--config", str(process.config)),
            stderr=subprocess.PIPE,
        )
        _, said = await second.communicate()
        assert second.returncode == 1
        (line,) = said.decode().splitlines()
        assert line.startswith(f"prestashop-agent: Another prestashop-agent (process {process.pid}) uses")
        process.signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.ended() == 0


STORES = """
[[stores]]
url = "https://127.0.0.1:1/api/"
verify = false
methods = ["GET", "PUT"]
resources = ["stock_availables", "products"]

[[stores]]
url = "http://127.0.0.1:PORT/shop/"

[[stores]]
url = "http://127.0.0.1:1/closed/"
"""


async def under_root(request: StoreRequest, connection: StoreConnection) -> bytes | None:
    """A webservice at /api/ alone."""
    status = b"401 Unauthorized\r\nPSWS-Version: 0" if request.raw_head.startswith(b"GET /api/ ") else b"404 Not Found"
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"


async def test_the_start_says_what_is_open_and_what_to_know(tmp_path: Path) -> None:
    async with (
        ScriptedStore(under_root) as store,
        AgentProcess(tmp_path, STORES.replace("PORT", str(store.port)), ABSENT.encode()) as process,
    ):
        opened = [await process.event("store.open", count) for count in (1, 2, 3)]
        assert [event["store"] for event in opened] == [
            "https://127.0.0.1:1/",
            f"http://127.0.0.1:{store.port}/",  # the probe found the webservice there, not under /shop/
            "http://127.0.0.1:1/closed/",
        ]
        assert (opened[0]["methods"], opened[0]["resources"]) == ("GET,PUT", "products,stock_availables")
        assert opened[1]["resources"] == "all"
        unverified = await process.event("store.warning")
        assert (unverified["level"], unverified["store"]) == ("warning", "https://127.0.0.1:1/")
        assert "not checked" in unverified["detail"]
        ambiguous = await process.event("store.ambiguous")
        assert ambiguous["write"] == 'url = "http://127.0.0.1:1/closed/api/"'
        assert len([event for event in process.events if event["event"] == "store.ambiguous"]) == 1


@pytest.mark.parametrize("form", ["text", "json"])
async def test_the_log_is_readable_in_both_forms(tmp_path: Path, form: str) -> None:
    async with AgentProcess(tmp_path, "", ABSENT.encode(), ("--log-format", form)) as process:
        if form == "json":
            await process.event("tunnel.unreachable")
            assert process.other_lines == []
            assert all({"time", "level", "event"} <= set(event) for event in process.events)
        else:
            await process.line_with("tunnel.unreachable")
            assert process.events == []
            assert all("\x1b" not in line for line in process.other_lines)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert json.dumps(ABSENT.secret) not in process.log
