"""What the doctor says of a server, each layer broken by something real; the pages are in ``doctor_golden``."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncssh
import pytest

from agent.doctor.finding import Subject
from agent.doctor.verdicts import OWN_VERDICTS
from agent.examination.examine import Scope, examine
from agent.server.registry import Change
from agent.tunnel.messages import Heartbeat
from agent.tunnel.token import AccessToken, new_secret
from tests.kit.agent_place import Place
from tests.kit.black_hole import black_hole
from tests.kit.golden import compare, page_of
from tests.kit.raw_agent import raw_control, raw_hello
from tests.kit.scripted_proxy import ProxyConnection, ScriptedProxy
from tests.kit.scripted_server import Answer, ScriptedServer
from tests.kit.ssh_servers import AGENT_ID, SecretCollector, TunnelServer
from tests.kit.tunnel_agent import agent

Broken = contextlib.AbstractAsyncContextManager[AccessToken]

DEAF = "[timeouts]\nssh_connect_s = 0.3\nssh_login_s = 10\n"
QUICK = "[timeouts]\nssh_connect_s = 10\nssh_login_s = 0.4\n"
BRISK = "[timeouts]\nssh_connect_s = 10\nssh_login_s = 2\n"
PATIENT = "[timeouts]\nssh_connect_s = 10\nssh_login_s = 10\n"
ONLY_SERVERS = Scope(stores=())


def _token(address: str) -> AccessToken:
    return AccessToken((address,), ("SHA256:" + "A" * 43,), "agent-1", new_secret())


async def _page(place: Place, token: AccessToken, toml: str, scope: Scope = ONLY_SERVERS) -> tuple[set[str], str]:
    """The verdicts, and the page about the servers."""
    place.write(toml, token.encode())
    found = await examine(place.config, {"HOME": str(place.root), "PATH": ""}, {}, is_root=False, scope=scope)
    about = [each for each in found.findings if each.subject is Subject.SERVER]
    assert all(token.secret not in str(each.to_json()) for each in found.findings)
    return {each.verdict for each in about} - {""}, page_of(about, {str(place.root): "DIR"})


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def _listening(says: bytes, answers: bytes = b"", *, holds: bool = False) -> AsyncIterator[int]:
    """Says something at once, and something else when it was spoken to; then closes unless it ``holds``."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        with contextlib.suppress(OSError):
            if answers or holds:
                await reader.read(100)
                writer.write(answers)
                await writer.drain()
            if holds:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def _at(address: str) -> AsyncIterator[AccessToken]:
    yield _token(address)


@contextlib.asynccontextmanager
async def _swallowed() -> AsyncIterator[AccessToken]:
    async with black_hole() as port:
        yield _token(f"127.0.0.1:{port}")


@contextlib.asynccontextmanager
async def _says(says: bytes, answers: bytes = b"", *, holds: bool = False) -> AsyncIterator[AccessToken]:
    async with _listening(says, answers, holds=holds) as port:
        yield _token(f"127.0.0.1:{port}")


@contextlib.asynccontextmanager
async def _other_key() -> AsyncIterator[AccessToken]:
    async with SecretCollector() as other:
        yield _token(f"127.0.0.1:{other.port}")
        assert other.passwords == [], "the secret must not be given to it"


@contextlib.asynccontextmanager
async def _scripted(answer: Answer | None) -> AsyncIterator[AccessToken]:
    async with ScriptedServer(answer) as server:
        yield server.token


def _welcomes(*then: dict[str, Any] | bytes) -> Answer:
    """Welcomes as a server of before does, and says ``then`` to each heartbeat."""

    def answer(message: dict[str, Any]) -> list[dict[str, Any] | bytes]:
        if message["type"] == "hello":
            return [{"type": "welcome", "version": "1.0"}]
        return list(then) if message["type"] == "heartbeat" else []

    return answer


def _bye(code: str) -> Answer:
    return lambda message: [{"type": "bye", "code": code, "reason": "the test says so"}]


BROKEN: dict[str, tuple[Callable[[], Broken], str]] = {
    "server_name_unknown": (lambda: _at("agents.invalid:2222"), PATIENT),
    "server_port_closed": (lambda: _at(f"127.0.0.1:{_closed_port()}"), PATIENT),
    "server_unreachable": (lambda: _at("255.255.255.255:2222"), PATIENT),
    "server_no_answer": (_swallowed, DEAF),
    "no_greeting": (lambda: _says(b"", holds=True), QUICK),
    "no_greeting-closed": (lambda: _says(b""), PATIENT),
    "not_ssh": (lambda: _says(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"), QUICK),
    "not_ssh-tls": (lambda: _says(b"", b"\x15\x03\x01\x00\x02\x02\x46"), QUICK),
    "not_ssh-mail": (lambda: _says(b"220 mail.example.com ESMTP \x1b[2J\r\n", holds=True), PATIENT),
    "handshake_failed": (lambda: _says(b"SSH-2.0-other_1.0\r\n", b"\0\0\0\0garbage"), PATIENT),
    "wrong_host_key": (_other_key, PATIENT),
    "not_granted": (lambda: _scripted(None), PATIENT),
    "no_welcome": (lambda: _scripted(lambda message: []), BRISK),
    "protocol_error": (lambda: _scripted(lambda message: [b"not json\n"]), PATIENT),
    "revoked": (lambda: _scripted(_bye("revoked")), PATIENT),
    "server_left": (lambda: _scripted(_bye("shutdown")), PATIENT),
    "lost": (lambda: _scripted(_bye("some new code")), PATIENT),
    "no_heartbeat": (lambda: _scripted(_welcomes()), BRISK),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_layer(name: str, place: Place) -> None:
    broken, toml = BROKEN[name]
    async with broken() as token:
        verdicts, page = await _page(place, token, toml)
    assert verdicts == {name.partition("-")[0]}
    assert verdicts <= OWN_VERDICTS
    compare(name, page)


async def test_a_token_that_is_refused(place: Place, server: TunnelServer) -> None:
    server.agents.add()
    verdicts, page = await _page(place, server.token(new_secret()), PATIENT)
    assert verdicts == {"token_refused"}
    compare("token_refused", page)


async def test_an_agent_that_is_disabled(place: Place, server: TunnelServer) -> None:
    secret = server.agents.add()
    record, _ = server.agents.records[AGENT_ID]
    server.agents.records[AGENT_ID] = (dataclasses.replace(record, enabled=False), secret)
    verdicts, page = await _page(place, server.token(secret), PATIENT)
    assert verdicts == {"disabled"}
    compare("disabled", page)


@pytest.mark.parametrize("hours", [3, -1])
async def test_a_clock_that_is_wrong(hours: int, place: Place, server: TunnelServer) -> None:
    scope = Scope(stores=(), now=lambda: time.time() + hours * 3600)
    verdicts, page = await _page(place, server.token(server.agents.add()), PATIENT, scope)
    assert verdicts == {"clock_off"}
    compare("clock_off" if hours > 0 else "clock_off-behind", page)


async def test_a_slow_server(place: Place, server: TunnelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.examination.server.SLOW_ROUND_TRIP_S", 0.0)
    monkeypatch.setattr("agent.examination.server.SLOW_BYTES_PER_S", 1e15)
    verdicts, page = await _page(place, server.token(server.agents.add()), PATIENT)
    assert verdicts == {"slow_round_trip", "slow_link"}
    compare("slow_link", page)


async def test_an_older_server_is_well_without_clock_and_throughput(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.examination.probe.MEASURE_LIMIT_S", 0.1)

    def answer(message: dict[str, Any]) -> list[dict[str, Any] | bytes]:
        acknowledged: dict[str, Any] = {"type": "heartbeat_ack", "sequence": message.get("sequence", 0)}
        return _welcomes(acknowledged)(message)

    async with ScriptedServer(answer) as old:
        verdicts, page = await _page(place, old.token, PATIENT)
    assert verdicts == set()
    assert len(old.heard) < 15, "no more is sent than is answered, but for the first few"
    compare("well-older_server", page)


async def test_a_proxy_that_wants_a_login(place: Place) -> None:
    async def refuse(connection: ProxyConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")

    async with ScriptedProxy(refuse) as proxy:
        toml = f'[proxy]\nurl = "http://127.0.0.1:{proxy.port}"\n'
        verdicts, page = await _page(place, _token("agents.example.com:2222"), toml)
    assert verdicts == {"proxy_refused"}
    compare("proxy_refused", page)


async def test_a_proxy_that_leads_there(place: Place, server: TunnelServer) -> None:
    async def relay(connection: ProxyConnection) -> None:
        assert (await connection.head()).startswith(b"CONNECT agents.example.com:2222 ")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")

        async def back() -> None:
            while piece := await reader.read(65536):
                await connection.send(piece)

        task = asyncio.create_task(back())
        try:
            while piece := await connection.reader.read(65536):
                writer.write(piece)
        finally:
            task.cancel()
            writer.transport.abort()

    good = server.token(server.agents.add())
    token = dataclasses.replace(good, servers=("agents.example.com:2222",))
    async with ScriptedProxy(relay) as proxy:
        verdicts, page = await _page(place, token, f'{PATIENT}[proxy]\nurl = "http://127.0.0.1:{proxy.port}"\n')
    assert verdicts == set()
    compare("well-through_proxy", page)


async def test_a_proxy_that_is_not_there(place: Place) -> None:
    toml = f'[proxy]\nurl = "socks5h://127.0.0.1:{_closed_port()}"\n'
    verdicts, page = await _page(place, _token("agents.example.com:2222"), toml)
    assert verdicts == {"proxy_failed"}
    compare("proxy_failed", page)


async def test_each_server_of_the_token_is_looked_at(place: Place, server: TunnelServer) -> None:
    good = server.token(server.agents.add())
    token = dataclasses.replace(good, servers=(f"127.0.0.1:{_closed_port()}", *good.servers))
    verdicts, page = await _page(place, token, PATIENT)
    assert verdicts == {"server_port_closed"}
    compare("server_port_closed-one_of_two", page)


async def test_a_probe_does_not_disturb_the_agent_that_serves(place: Place, server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    async with agent(token):
        (serving,) = await server.wait_tunnels(1)
        verdicts, _ = await _page(place, token, PATIENT)
        assert verdicts == set()
        assert server.registry.tunnels(AGENT_ID) == (serving,)
        assert len(server.changes(Change.READY)) == 1


async def test_only_a_probe_is_answered_a_measure(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    control = await raw_control(conn)
    control.say(raw_hello())
    await control.answer("welcome")
    control.say({"type": "measure", "sequence": 1, "padding": "0" * 100})
    control.say(Heartbeat(sequence=2).model_dump())
    assert (await control.answer("heartbeat_ack"))["sequence"] == 2
    assert b"measure_ack" not in control.received
