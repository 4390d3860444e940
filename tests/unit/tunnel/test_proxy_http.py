"""CONNECT through an HTTP proxy: the request, every kind of answer, and not one byte of the server's lost."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Iterator

import pytest

from agent.tunnel.proxy_address import ProxyAddress, ProxyLogin
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.proxy_exemptions import Exemptions
from agent.tunnel.proxy_http import connect_request
from agent.tunnel.proxy_route import SETTING, ProxyRoute
from agent.tunnel.proxy_socket import HEAD_MAX_BYTES, HeadError, receive_head
from tests.kit.scripted_proxy import ProxyConnection, ScriptedProxy
from tests.kit.until import until

BANNER = b"SSH-2.0-server\r\n"
GRANTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
LOGIN = ProxyLogin(b"shop", b"p\xc3\xa4ss:w@rd")


def through(port: int, login: ProxyLogin | None = None, timeout_s: float = 30, named: str = SETTING) -> ProxyDial:
    """The way through a proxy on loopback."""
    return ProxyDial(ProxyRoute(ProxyAddress("http", "127.0.0.1", port, login), Exemptions(), named), timeout_s)


async def refused(answer: bytes, login: ProxyLogin | None = None, port: int = 2222, named: str = SETTING) -> ProxyError:
    """What is said when the proxy answers so."""

    async def script(connection: ProxyConnection) -> None:
        await connection.head()
        await connection.send(answer)
        await connection.until_gone()

    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError) as caught:
            await through(proxy.port, login, named=named)("srv.test", port)
        async with asyncio.timeout(10):
            await proxy.all_left()
        sentence = str(caught.value)
        assert sentence.startswith(f"The proxy http://127.0.0.1:{proxy.port} ({named}) ")
        assert sentence.endswith(".")
        assert sentence.isprintable()
        if login is not None:
            assert "w@rd" not in sentence
            assert base64.b64encode(login.password).decode()[:6] not in sentence
        return caught.value


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def nothing_queued(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    return False


def test_the_request() -> None:
    lines = connect_request("srv.test", 443, LOGIN).split(b"\r\n")
    assert lines[:2] == [b"CONNECT srv.test:443 HTTP/1.1", b"Host: srv.test:443"]
    assert lines[2].startswith(b"User-Agent: prestashop-agent/")
    assert lines[3:] == [b"Proxy-Authorization: Basic " + base64.b64encode(b"shop:p\xc3\xa4ss:w@rd"), b"", b""]
    assert b"Authorization" not in connect_request("srv.test", 443, None)
    assert connect_request("2001:db8::1", 22, None).startswith(
        b"CONNECT [2001:db8::1]:22 HTTP/1.1\r\nHost: [2001:db8::1]:22\r\n"
    )


@pytest.mark.parametrize("host", ["a\r\nX: y", "a\n", "a b", "a\0", "", "a/b", "a@b", "\u00fc", "a" * 256])
def test_nothing_but_a_host_gets_into_the_request(host: str) -> None:
    with pytest.raises(ValueError, match="not a host"):
        connect_request(host, 443, None)


@pytest.mark.parametrize(
    "answer",
    [
        GRANTED,
        b"HTTP/1.0 200 OK\r\nVia: 1.0 x\r\n\r\n",
        b"HTTP/1.1 204\r\n\r\n",
        b"HTTP/1.1 299 \r\nContent-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\nVia: bare line feeds\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\n" + GRANTED,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_MAX_BYTES - 24) + b"\r\n\r\n",
    ],
)
async def test_any_2xx_is_the_tunnel_and_the_servers_greeting_stays_whole(answer: bytes) -> None:
    async def script(connection: ProxyConnection) -> None:
        await connection.head()
        await connection.send(answer + BANNER)
        assert await connection.exactly(4) == b"ping"
        await connection.send(b"pong")

    async with ScriptedProxy(script) as proxy:
        sock = await through(proxy.port, LOGIN)("srv.test", 2222)
        with sock:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, b"ping")
            got = b""
            while piece := await loop.sock_recv(sock, 3):
                got += piece
        assert got == BANNER + b"pong"
        heard = bytes(proxy.connections[0].heard)
        assert heard == connect_request("srv.test", 2222, LOGIN) + b"ping"


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\n\r\n"])
async def test_wherever_the_segments_are_cut_exactly_the_head_is_taken(
    pair: tuple[socket.socket, socket.socket], end: bytes
) -> None:
    ours, theirs = pair
    head = b"HTTP/1.1 200 OK\r\nA: b" + end
    everything = head + BANNER
    for cut in range(1, len(everything) + 1):
        receiving = asyncio.create_task(receive_head(ours))
        theirs.sendall(everything[:cut])
        if cut < len(head):
            await until(lambda: nothing_queued(ours))  # the first piece was taken before the second one comes
            assert not receiving.done()
        theirs.sendall(everything[cut:])
        async with asyncio.timeout(10):
            assert await receiving == head
        assert ours.recv(65536) == BANNER, cut


async def test_a_head_that_comes_byte_by_byte(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    receiving = asyncio.create_task(receive_head(ours))
    for byte in GRANTED + BANNER:
        theirs.sendall(bytes((byte,)))
        await until(lambda: receiving.done() or nothing_queued(ours))
    assert await receiving == GRANTED
    assert ours.recv(65536) == BANNER


async def test_waiting_for_the_rest_of_a_head_costs_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    """What was looked at is taken out; left in the queue it would wake the reader again and again."""
    ours, theirs = pair
    receiving = asyncio.create_task(receive_head(ours))
    theirs.sendall(GRANTED[:-1])
    await until(lambda: nothing_queued(ours))
    theirs.sendall(GRANTED[-1:])
    assert await receiving == GRANTED


@pytest.mark.parametrize("size", [HEAD_MAX_BYTES, HEAD_MAX_BYTES + 1])
async def test_the_limit_of_a_head(size: int) -> None:
    start, end = b"HTTP/1.1 200 OK\r\nX: ", b"\r\n\r\n"
    head = start + b"x" * (size - len(start) - len(end)) + end
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.sendall(head + BANNER)
        if size <= HEAD_MAX_BYTES:
            assert await receive_head(ours) == head
            assert ours.recv(65536) == BANNER
        else:
            with pytest.raises(HeadError) as caught:
                await receive_head(ours)
            assert caught.value.too_long


async def test_a_head_without_end() -> None:
    async def script(connection: ProxyConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await connection.send(b"X: " + b"x" * 1000 + b"\r\n")

    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError, match="head of over 16384 bytes"):
            await through(proxy.port)("srv.test", 22)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x05\x00",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_garbage_is_told_at_once(answer: bytes) -> None:
    error = await refused(answer)
    assert "does not answer as an HTTP proxy does" in str(error)
    assert not error.needs_a_person


async def test_interim_answers_without_end() -> None:
    assert "interim answers without end" in str(await refused(b"HTTP/1.1 100 Continue\r\n\r\n" * 20))


@pytest.mark.parametrize(
    ("status", "wanted", "person"),
    [
        (b"403 No", "forbids a connection to srv.test:2222 (403 Forbidden): ask its administrator", True),
        (b"403 No", "SSH listen on port 443", True),
        (b"405 x", "does not make tunnels (405 Method Not Allowed)", True),
        (b"501 x", "does not make tunnels (501 Not Implemented)", True),
        (b"302 Found", "no login in a browser", True),
        (b"401 x", "asks for a user name and password (401)", True),
        (b"500 x", "could not reach srv.test:2222 (500 Internal Server Error)", False),
        (b"502 x", "could not reach srv.test:2222 (502 Bad Gateway)", False),
        (b"503 x", "could not reach srv.test:2222 (503 Service Unavailable)", False),
        (b"504 x", "could not reach srv.test:2222 (504 Gateway Timeout)", False),
        (b"599 x", "could not reach srv.test:2222 (599)", False),
        (b"400 x", "does not connect to srv.test:2222 (400 Bad Request)", False),
        (b"404 x", "does not connect to srv.test:2222 (404 Not Found)", False),
    ],
)
async def test_each_status_says_what_to_do(status: bytes, wanted: str, person: bool) -> None:
    error = await refused(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    assert wanted in str(error)
    assert error.needs_a_person is person


async def test_port_443_is_not_advised_to_who_uses_it() -> None:
    sentence = str(await refused(b"HTTP/1.1 403 No\r\n\r\n", port=443))
    assert "allow CONNECT to srv.test:443." in sentence


BASIC = b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"
NTLM = b"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n\r\n"
BOTH = b"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate, Basic realm=x\r\n\r\n"
SILENT = b"HTTP/1.1 407 x\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "login", "named", "wanted"),
    [
        (BASIC, None, SETTING, "asks for a user name and password (407): set proxy.username and proxy.password_file."),
        (BASIC, None, "https_proxy", "(407): set user:password@ in https_proxy."),
        (BOTH, None, SETTING, "asks for a user name and password"),
        (SILENT, None, SETTING, "asks for a user name and password"),
        (BASIC, LOGIN, SETTING, "refuses the user name or the password (407): correct proxy.username and"),
        (NTLM, None, SETTING, "asks for a login by NTLM or Negotiate (407), and this program knows Basic only"),
        (NTLM, LOGIN, SETTING, "knows Basic only"),
    ],
)
async def test_407(answer: bytes, login: ProxyLogin | None, named: str, wanted: str) -> None:
    error = await refused(answer, login, named=named)
    assert wanted in str(error)
    assert error.needs_a_person


async def test_a_proxy_that_repeats_the_login_does_not_get_it_into_the_log() -> None:
    token = base64.b64encode(LOGIN.username + b":" + LOGIN.password)
    answer = b"HTTP/1.1 407 %s\r\nProxy-Authenticate: %s realm=%s\r\n\r\n" % (token, token, LOGIN.password)
    sentence = str(await refused(answer, LOGIN))
    assert token.decode() not in sentence


@pytest.mark.parametrize("length", range(len(GRANTED)))
async def test_a_proxy_that_leaves_after_any_byte(length: int) -> None:
    async def script(connection: ProxyConnection) -> None:
        await connection.head()
        await connection.send(GRANTED[:length])

    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError, match=r"closed the connection without an answer|broke off the connection"):
            await through(proxy.port)("srv.test", 22)
