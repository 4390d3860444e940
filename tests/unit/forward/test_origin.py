"""What one connection to a store tells the exchange that uses it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from agent.forward.dialer import TcpDialer
from agent.forward.origin import OriginConnection
from agent.forward.pool import OriginPool
from tests.kit.certificates import CertificateAuthority


class User:
    """An exchange: records what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.ended = asyncio.Event()

    def origin_data(self, data: bytes) -> None:
        self.events.append(data.decode())

    def origin_eof(self) -> None:
        self.events.append("eof")
        self.ended.set()

    def origin_lost(self, error: Exception | None) -> None:
        self.events.append("lost")
        self.ended.set()

    def origin_pause_writing(self) -> None:
        """Not of interest here."""

    def origin_resume_writing(self) -> None:
        """Not of interest here."""


@pytest.mark.parametrize("notify", [True, False])
async def test_a_tls_connection_that_was_cut_is_no_end_of_an_answer(tmp_path: Path, notify: bool) -> None:
    """RFC 9112 9.8: without a close_notify anyone on the way may have ended an answer that has no length."""
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"half")
        await writer.drain()
        if notify:
            writer.close()
        else:
            writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()
        gone.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    origin = await TcpDialer("127.0.0.1", port, trust).dial(lambda: OriginConnection(lambda _gone: None))
    user = origin.user = User()
    origin.write(b"?")
    await asyncio.wait_for(user.ended.wait(), 10)
    assert user.events[:2] == ["half", "eof" if notify else "lost"]
    origin.abort()
    server.close()
    await asyncio.wait_for(gone.wait(), 10)
    await server.wait_closed()


def test_a_store_that_answered_and_left_a_body_unread_gets_no_further_exchange() -> None:
    """Also where the last piece of the body, and the answer, came in one turn of the loop."""

    async def main() -> OriginConnection | None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            pool = OriginPool(TcpDialer("127.0.0.1", deaf.getsockname()[1]))
            connection = await pool.dial()
            peer, _ = deaf.accept()
            with peer:
                connection.user = User()
                transport = connection._transport
                assert transport is not None
                while transport.get_write_buffer_size() == 0:
                    connection.write(bytes(8000))
                    await asyncio.sleep(0)
                assert not connection.full
                connection.write(bytes(200_000))
                pool.give_back(connection, loop.time())
                taken = pool.take_idle(loop.time(), for_write=True)
                connection.abort()
                return taken

    assert uvloop.run(main()) is None
