"""Which way is taken, who resolves the name, and that nothing stays open: time limits, cancellation, proxies gone."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from agent.tunnel.proxy_address import ProxyAddress, ProxyLogin, Scheme
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.proxy_exemptions import Exemptions
from agent.tunnel.proxy_route import SETTING, ProxyRoute
from tests.kit.scripted_proxy import SOCKS_GRANTED, SOCKS_HELLO, ProxyConnection, ScriptedProxy
from tests.kit.tools import missing
from tests.kit.until import until

LOGIN = ProxyLogin(b"shop", b"t0psecret")
LIMIT_S = 0.4


def route_to(port: int, scheme: Scheme = "http", exempt: tuple[str, ...] = (), host: str = "127.0.0.1") -> ProxyRoute:
    return ProxyRoute(ProxyAddress(scheme, host, port, LOGIN), Exemptions.read(exempt), SETTING)


async def answer_http(connection: ProxyConnection) -> None:
    """A proxy that grants everything."""
    await connection.head()
    await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    await connection.until_gone()


async def answer_socks(connection: ProxyConnection) -> None:
    """A proxy that grants everything."""
    await connection.exactly(4)
    await connection.send(SOCKS_HELLO)
    await connection.exactly(10)  # a request with an IPv4 address
    await connection.send(SOCKS_GRANTED)
    await connection.until_gone()


def open_sockets() -> int:
    return sum(1 for entry in Path("/proc/self/fd").iterdir() if "socket:" in _link(entry))


def _link(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        return ""


async def test_without_a_proxy_and_for_exempt_servers_it_is_direct() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        port, dead = server.getsockname()[1], closed.getsockname()[1]
        closed.close()
        for route in (None, route_to(dead, exempt=("127.0.0.0/8",)), route_to(dead, exempt=(f"127.0.0.1:{port}",))):
            with await ProxyDial(route, LIMIT_S)("127.0.0.1", port) as sock:
                assert sock.getpeername() == server.getsockname()
        with pytest.raises(ProxyError):
            await ProxyDial(route_to(dead, exempt=("10.0.0.0/8",)), LIMIT_S)("127.0.0.1", port)


async def test_the_route_may_be_replaced() -> None:
    async with ScriptedProxy(answer_http) as first, ScriptedProxy(answer_http) as second:
        dial = ProxyDial(route_to(first.port), 30)
        (await dial("srv.test", 22)).close()
        dial.route = route_to(second.port)
        (await dial("srv.test", 22)).close()
        assert (len(first.connections), len(second.connections)) == (1, 1)
        assert "t0psecret" not in repr(dial)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_the_name_is_left_to_the_proxy(monkeypatch: pytest.MonkeyPatch, scheme: Scheme) -> None:
    asked: list[object] = []
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host: object, *arguments: object, **options: object) -> object:
        asked.append(host)
        return await real(host, *arguments, **options)  # type: ignore[arg-type]

    async def script(connection: ProxyConnection) -> None:
        await connection.until_gone()

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError, match="within"):
            await ProxyDial(route_to(proxy.port, scheme), LIMIT_S)("name.invalid", 22)
        assert asked == ["127.0.0.1"]  # the proxy alone was looked up
        if scheme == "http":
            await proxy.all_left()
            assert b"CONNECT name.invalid:22 " in proxy.connections[0].heard


async def test_socks5_resolves_here_and_tries_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[bytes] = []
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host: object, port: object, *arguments: object, **options: object) -> object:
        if host != "srv.test":
            return await real(host, port, *arguments, **options)  # type: ignore[arg-type]
        found = [(socket.AF_INET, f"10.0.0.{number}") for number in (1, 2, 3)]
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in found]

    async def script(connection: ProxyConnection) -> None:
        await connection.exactly(4)
        await connection.send(SOCKS_HELLO)
        requests.append(await connection.exactly(10))
        await connection.send(SOCKS_GRANTED if len(requests) == 3 else b"\x05\x04\x00\x01" + b"\x00" * 6)
        await connection.until_gone()

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with ScriptedProxy(script) as proxy:
        (await ProxyDial(route_to(proxy.port, "socks5"), 30)("srv.test", 443)).close()
        assert requests == [b"\x05\x01\x00\x01\x0a\x00\x00" + bytes((number,)) + b"\x01\xbb" for number in (1, 2, 3)]
        await proxy.all_left()


async def test_socks5_stops_at_a_rule_and_says_how_to_leave_names_to_the_proxy() -> None:
    async def forbid(connection: ProxyConnection) -> None:
        await connection.exactly(4)
        await connection.send(SOCKS_HELLO)
        await connection.exactly(4)
        await connection.send(b"\x05\x02")
        await connection.until_gone()

    async with ScriptedProxy(forbid) as proxy:
        with pytest.raises(ProxyError, match="forbids a connection"):
            await ProxyDial(route_to(proxy.port, "socks5"), 30)("localhost", 443)
        assert len(proxy.connections) == 1
        with pytest.raises(ProxyError, match=r"cannot resolve name\.invalid .*: write socks5h:// in proxy\.url"):
            await ProxyDial(route_to(proxy.port, "socks5"), 30)("name.invalid", 443)
        assert len(proxy.connections) == 1


async def test_a_proxy_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()[1]
    with pytest.raises(ProxyError) as caught:
        await ProxyDial(route_to(dead), 30)("srv.test", 22)
    assert str(caught.value) == (
        f"The proxy http://127.0.0.1:{dead} (proxy.url) cannot be reached (connection refused): check host and port in"
        " proxy.url, DNS and the firewall."
    )
    assert not caught.value.needs_a_person
    with pytest.raises(ProxyError, match=r"The proxy http://name\.invalid:1 .* cannot be reached"):
        await ProxyDial(route_to(1, host="name.invalid"), 30)("srv.test", 22)


STALLS = {  # bytes that the proxy sends before it stops
    "http": (b"", b"HT", b"HTTP/1.1 200 OK\r\nX: "),
    "socks5h": (b"", b"\x05", b"\x05\x00", b"\x05\x00\x05", b"\x05\x00\x05\x00\x00\x01\x7f"),
}


@pytest.mark.parametrize(("scheme", "said"), [(scheme, said) for scheme in STALLS for said in STALLS[scheme]])
async def test_a_proxy_that_hangs_is_given_up_in_time_and_left(scheme: Scheme, said: bytes) -> None:
    async def script(connection: ProxyConnection) -> None:
        await connection.send(said)
        await connection.until_gone()

    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError, match=r"did not lead to srv\.test port 22 within 0\.4 s"):
            await ProxyDial(route_to(proxy.port, scheme), LIMIT_S)("srv.test", 22)
        async with asyncio.timeout(10):
            await proxy.all_left()


async def test_a_slow_drip_does_not_stretch_the_limit() -> None:
    async def script(connection: ProxyConnection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await connection.send(b"X: y\r\n")
            await asyncio.sleep(0.02)

    async with ScriptedProxy(script) as proxy:
        started = asyncio.get_running_loop().time()
        with pytest.raises(ProxyError, match="within"):
            await ProxyDial(route_to(proxy.port), LIMIT_S)("srv.test", 22)
        assert asyncio.get_running_loop().time() - started < 10


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks5"])
async def test_cancelled_at_any_turn_of_the_loop_it_leaves_no_socket(scheme: Scheme) -> None:
    async with ScriptedProxy(answer_http if scheme == "http" else answer_socks) as proxy:
        before = open_sockets()
        cancelled = finished = turns = 0
        while finished < 3:
            attempt = asyncio.create_task(ProxyDial(route_to(proxy.port, scheme), 30)("127.0.0.1", 22))
            for _ in range(turns):
                await asyncio.sleep(0)
            attempt.cancel()
            (result,) = await asyncio.gather(attempt, return_exceptions=True)
            if isinstance(result, socket.socket):
                finished += 1
                result.close()
            else:
                assert isinstance(result, asyncio.CancelledError)
                cancelled += 1
            turns += 1 + turns // 20
        async with asyncio.timeout(20):
            await proxy.all_left()
        await until(lambda: open_sockets() <= before)
        assert cancelled > 5
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if name.startswith("dial-")]


async def test_a_proxy_and_a_server_with_ipv6_addresses() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        missing("there is no IPv6 loopback address here")
    async with ScriptedProxy(answer_http, host="::1") as proxy:
        (await ProxyDial(route_to(proxy.port, host="::1"), 30)("2001:db8::1", 22)).close()
        assert proxy.connections[0].heard.startswith(b"CONNECT [2001:db8::1]:22 HTTP/1.1\r\n")


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_reset_in_the_middle_is_a_sentence(scheme: Scheme) -> None:
    async def script(connection: ProxyConnection) -> None:
        await connection.reader.read(1)
        sock = connection.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.writer.transport.abort()

    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError, match=r"broke off the connection \(connection reset by peer\)"):
            await ProxyDial(route_to(proxy.port, scheme), 30)("srv.test", 22)
