"""Why a connection to a store could not be made, in our own words."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import cast

import pytest

from agent.errors import ExchangeError, StoreTlsFailed, StoreUnreachable
from agent.forward.dialer import TcpDialer, dial_failure
from tests.kit.scripted_store import ScriptedStore


@pytest.mark.parametrize(
    ("failure", "expected", "kind"),
    [
        (TimeoutError(), StoreUnreachable, "connection_timeout"),
        (socket.gaierror(socket.EAI_NONAME, "SECRET"), StoreUnreachable, "dns_error"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "SECRET"), StoreUnreachable, "connection_refused"),
        (OSError(errno.ENETUNREACH, "SECRET"), StoreUnreachable, "destination_ip_unroutable"),
        (ssl.SSLError(1, "x"), StoreTlsFailed, "tls_protocol_error"),
        (ConnectionAbortedError("SSL handshake is taking longer"), StoreTlsFailed, "tls_protocol_error"),
    ],
)
def test_a_failure_has_a_name_and_a_kind(failure: Exception, expected: type[ExchangeError], kind: str) -> None:
    error = dial_failure(failure, "shop.example:443")
    assert type(error) is expected
    assert error.proxy_error_type == kind
    assert "shop.example:443" in error.detail
    assert "SECRET" not in error.detail


@pytest.mark.parametrize("host", ["shop..lan", "x" * 70 + ".example"])
async def test_what_is_no_host_name_cannot_be_reached(host: str) -> None:
    with pytest.raises(StoreUnreachable, match="no host name"):
        await TcpDialer(host, 80).dial(asyncio.Protocol)


async def test_the_next_address_of_a_name_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedStore() as store:
        answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (it, 0)) for it in ("127.0.0.9", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **keywords: answers)
        made = await TcpDialer("shop.example", store.port).dial(_Keeping)
        assert made.peer == ("127.0.0.1", store.port)
        made.transport.abort()


class _Keeping(asyncio.Protocol):
    """Keeps its transport and where it leads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.peer = transport.get_extra_info("peername")


async def test_a_server_that_never_answers_the_handshake_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dialer = TcpDialer("127.0.0.1", port, ssl.create_default_context(), "shop.example", 0.2, 0.1)
    with pytest.raises(StoreTlsFailed):
        await dialer.dial(asyncio.Protocol)
    server.close()
    await server.wait_closed()


async def test_a_server_that_speaks_no_tls_is_a_tls_failure() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(StoreTlsFailed):
        await TcpDialer("127.0.0.1", port, ssl.create_default_context()).dial(asyncio.Protocol)
    server.close()
    await server.wait_closed()
