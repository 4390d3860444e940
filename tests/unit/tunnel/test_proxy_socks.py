"""SOCKS5: the bytes of RFC 1928 and 1929, every refusal, and hostile servers."""

from __future__ import annotations

import asyncio

import pytest

from agent.tunnel.proxy_address import ProxyAddress, ProxyLogin, Scheme
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.proxy_exemptions import Exemptions
from agent.tunnel.proxy_route import SETTING, ProxyRoute
from agent.tunnel.proxy_socks import connect_request
from tests.kit.scripted_proxy import SOCKS_GRANTED, SOCKS_HELLO, ProxyConnection, ScriptedProxy

BANNER = b"SSH-2.0-server\r\n"
LOGIN = ProxyLogin(b"shop", b"t0psecret")
REQUEST = b"\x05\x01\x00\x03\x08srv.test\x08\xae"


def through(port: int, login: ProxyLogin | None = None, scheme: Scheme = "socks5h", timeout_s: float = 30) -> ProxyDial:
    """The way through a proxy on loopback."""
    return ProxyDial(ProxyRoute(ProxyAddress(scheme, "127.0.0.1", port, login), Exemptions(), SETTING), timeout_s)


async def refused(*answers: bytes, login: ProxyLogin | None = None) -> ProxyError:
    """What is said of a server that sends these, one after each message of ours."""

    async def script(connection: ProxyConnection) -> None:
        for answer in answers:
            await connection.reader.read(1024)
            await connection.send(answer)
        await connection.until_gone()

    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError) as caught:
            await through(proxy.port, login)("srv.test", 2222)
        async with asyncio.timeout(10):
            await proxy.all_left()
        sentence = str(caught.value)
        assert sentence.startswith(f"The proxy socks5h://127.0.0.1:{proxy.port} (proxy.url) ")
        assert sentence.endswith(".")
        assert "t0psecret" not in sentence
        return caught.value


def test_the_request() -> None:
    assert connect_request("srv.test", 2222) == REQUEST
    assert connect_request("10.0.0.1", 443) == b"\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb"
    assert connect_request("::1", 443) == b"\x05\x01\x00\x04" + b"\x00" * 15 + b"\x01\x01\xbb"
    assert connect_request("a" * 255, 1) == b"\x05\x01\x00\x03\xff" + b"a" * 255 + b"\x00\x01"


@pytest.mark.parametrize("host", ["", "a" * 256, "\u00fc", "a\0b", "a\r\nb"])
def test_nothing_but_a_name_gets_into_the_request(host: str) -> None:
    with pytest.raises(ValueError):  # the codec has its own words for one of them
        connect_request(host, 443)


@pytest.mark.parametrize(
    "granted",
    [
        SOCKS_GRANTED,
        b"\x05\x00\x00\x04" + b"\x00" * 18,
        b"\x05\x00\x00\x03\x05proxy\x00\x01",
        b"\x05\x00\x00\x03\x00\x00\x01",
    ],
)
@pytest.mark.parametrize("login", [None, LOGIN])
async def test_the_bytes_on_the_wire(granted: bytes, login: ProxyLogin | None) -> None:
    async def script(connection: ProxyConnection) -> None:
        if login is None:
            assert await connection.exactly(3) == b"\x05\x01\x00"
            await connection.send(b"\x05\x00")
        else:
            assert await connection.exactly(4) == b"\x05\x02\x00\x02"
            await connection.send(b"\x05\x02")
            assert await connection.exactly(16) == b"\x01\x04shop\x09t0psecret"
            await connection.send(b"\x05\x00")  # servers are seen that repeat the 5
        assert await connection.exactly(len(REQUEST)) == REQUEST
        await connection.send(granted + BANNER)
        assert await connection.exactly(4) == b"ping"

    async with ScriptedProxy(script) as proxy:
        with await through(proxy.port, login)("srv.test", 2222) as sock:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, b"ping")
            got = b""
            while piece := await loop.sock_recv(sock, 5):
                got += piece
        assert got == BANNER


async def test_a_server_that_wants_no_login_is_told_none() -> None:
    async def script(connection: ProxyConnection) -> None:
        await connection.exactly(4)
        await connection.send(b"\x05\x00")
        assert await connection.exactly(len(REQUEST)) == REQUEST
        await connection.send(SOCKS_GRANTED)
        await connection.until_gone()

    async with ScriptedProxy(script) as proxy:
        (await through(proxy.port, LOGIN)("srv.test", 2222)).close()
        await proxy.all_left()
        assert b"t0psecret" not in proxy.connections[0].heard


@pytest.mark.parametrize(
    ("code", "wanted", "person"),
    [
        (1, "could not reach srv.test:2222 (general failure)", False),
        (2, "forbids a connection to srv.test:2222: ask its administrator", True),
        (3, "(network unreachable)", False),
        (4, "(host unreachable)", False),
        (5, "(connection refused)", False),
        (6, "(TTL expired)", False),
        (7, "(command not supported)", False),
        (8, "(address type not supported)", False),
        (91, "(code 91)", False),
    ],
)
async def test_each_reply_says_what_to_do(code: int, wanted: str, person: bool) -> None:
    error = await refused(SOCKS_HELLO, bytes((5, code)))  # no more than this, as some servers do
    assert wanted in str(error)
    assert error.needs_a_person is person


@pytest.mark.parametrize(
    ("answers", "login", "wanted"),
    [
        ((b"\x05\xff",), None, "wants a login: set proxy.username and proxy.password_file."),
        ((b"\x05\xff",), LOGIN, "accepts neither"),
        ((b"\x05\x02", b"\x01\x01"), LOGIN, "refuses the user name or the password: correct proxy.username"),
        ((b"\x05\x02", b"\x01\xff"), LOGIN, "refuses the user name or the password: correct proxy.username"),
    ],
)
async def test_logins_that_fail_need_a_person(
    answers: tuple[bytes, ...], login: ProxyLogin | None, wanted: str
) -> None:
    error = await refused(*answers, login=login)
    assert wanted in str(error)
    assert error.needs_a_person


@pytest.mark.parametrize(
    "answers",
    [
        (b"\x04\x00",),
        (b"\x00\x5a",),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (b"SSH-2.0-x\r\n",),
        (b"\x05\x02",),  # a method that was not offered
        (b"\x05\x01",),
        (SOCKS_HELLO, b"\x04\x00\x00\x01" + b"\x00" * 6),
        (SOCKS_HELLO, b"\x05\x00\x00\x02" + b"\x00" * 6),
    ],
)
async def test_what_is_not_socks5(answers: tuple[bytes, ...]) -> None:
    error = await refused(*answers)
    assert "does not answer as a SOCKS5 proxy does" in str(error)
    assert not error.needs_a_person


ANSWER = b"\x05\x02\x01\x00" + SOCKS_GRANTED
MESSAGES = {0: 4, 2: 16, 4: len(REQUEST)}
"""How many bytes of the client come before the byte of ``ANSWER`` with this index."""


@pytest.mark.parametrize("length", range(len(ANSWER)))
async def test_a_server_that_leaves_after_any_byte(length: int) -> None:
    async def script(connection: ProxyConnection) -> None:
        for index in range(length + 1):
            if index in MESSAGES:
                await connection.exactly(MESSAGES[index])
            if index < length:
                await connection.send(ANSWER[index : index + 1])

    async with ScriptedProxy(script) as proxy:
        with pytest.raises(ProxyError, match=r"closed the connection in the middle|broke off the connection") as caught:
            await through(proxy.port, LOGIN)("srv.test", 2222)
        assert "t0psecret" not in str(caught.value)


async def test_an_answer_that_comes_byte_by_byte_before_it_was_asked_for() -> None:
    async def script(connection: ProxyConnection) -> None:
        for byte in ANSWER + BANNER:
            await connection.send(bytes((byte,)))
        await connection.until_gone()

    async with ScriptedProxy(script) as proxy:
        with await through(proxy.port, LOGIN)("srv.test", 2222) as sock:
            got = b""
            while len(got) < len(BANNER):
                got += await asyncio.get_running_loop().sock_recv(sock, 64)
        assert got == BANNER
