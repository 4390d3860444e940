"""Back-pressure of the link: a peer that announces a huge window and reads nothing, and a link that stands still."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from agent.server.tunnel import Tunnel
from agent.streams import ByteChannel, ByteSession
from agent.tunnel.token import AccessToken
from tests.kit.link_relay import LinkRelay
from tests.kit.raw_agent import Sink, raw_connection, raw_control, raw_hello
from tests.kit.ssh_servers import AGENT_ID, LOOPBACK, CollectingSession, TunnelServer, tunnel_server
from tests.kit.tunnel_agent import FAST, agent
from tests.kit.until import until

MIB = 1 << 20


class Source:
    """A session that writes as fast as it is let, up to ``limit``, and obeys ``pause_writing``."""

    def __init__(self, limit: int = 1 << 40, chunk: int = 64 * 1024) -> None:
        self.limit = limit
        self.chunk = b"z" * chunk
        self.written = 0
        self.paused = False
        self.pauses = 0
        self.channel: ByteChannel
        self.lost = asyncio.Event()
        self.stalled = asyncio.Event()
        self._writing = False

    def connection_made(self, channel: ByteChannel) -> None:
        self.channel = channel
        asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        # A burst per loop turn, as a store answers: endless writing would never let the loop see the socket.
        for _ in range(16):
            if self.paused or self.lost.is_set() or self.written >= self.limit:
                return
            try:
                self.channel.write(self.chunk)
            except BrokenPipeError:  # the connection ended in this loop turn
                return
            self.written += len(self.chunk)
        asyncio.get_running_loop().call_soon(self._write)

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> None:
        pass

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()

    def pause_writing(self) -> None:
        self.paused = True
        self.pauses += 1
        self.stalled.set()

    def resume_writing(self) -> None:
        self.paused = False
        self.stalled.clear()
        asyncio.get_running_loop().call_soon(self._write)


@pytest.fixture
async def server() -> AsyncIterator[TunnelServer]:
    async with tunnel_server() as server:
        yield server


async def test_a_peer_with_a_huge_window_that_reads_nothing_costs_little_memory(server: TunnelServer) -> None:
    """Without the propagation the sources would write for ever: asyncssh hands all to its transport."""
    connection = await raw_connection(server.port, server.agents.add())
    await connection.create_server(lambda host, port: Sink(), "store", 80, window=2**32 - 1)
    control = await raw_control(connection)
    control.say(raw_hello())
    await control.answer("welcome")
    (tunnel,) = server.registry.tunnels(AGENT_ID)
    sources = [Source() for _ in range(4)]
    for source in sources:
        await tunnel.open_channel(source)
    connection._transport.pause_reading()  # type: ignore[union-attr]  # connected
    async with asyncio.timeout(20):
        for source in sources:
            await source.stalled.wait()
    transport = tunnel.link._conn._transport  # type: ignore[attr-defined]  # the registry knows a link by its protocol only
    # What the kernels of both ends hold on loopback (about 10 MB at most), plus our own buffers.
    assert sum(source.written for source in sources) < 32 * MIB
    assert transport.get_write_buffer_size() < 2 * MIB
    connection._transport.resume_reading()  # type: ignore[union-attr]  # connected
    before = [source.written for source in sources]
    # all of them go on, none starves
    await until(lambda: all(source.written >= was + MIB for source, was in zip(sources, before, strict=True)))
    connection.abort()
    for source in sources:
        await source.lost.wait()


async def test_a_link_that_stands_still_pauses_sources_on_the_agents_side(server: TunnelServer) -> None:
    size = 24 * MIB
    source = Source(limit=size)
    sessions: Iterator[ByteSession] = iter([CollectingSession(), source])  # the first for the early channel
    right = server.token(server.agents.add())
    async with LinkRelay(server.port) as relay:
        token = AccessToken((f"{LOOPBACK}:{relay.port}",), right.pins, right.agent_id, right.secret)
        async with agent(token, FAST, sessions=lambda nonce: next(sessions)):
            (tunnel,) = await server.wait_tunnels(1)
            await tunnel.open_channel(CollectingSession())
            sink = CollectingSession()
            relay.up.clear()
            await _open_in_the_dark(tunnel, sink, relay)
            async with asyncio.timeout(20):
                await source.stalled.wait()
            stalled_at = source.written
            assert stalled_at < 16 * MIB
            relay.up.set()
            async with asyncio.timeout(60):
                assert len(await sink.wait_bytes(size)) == size
            assert source.pauses >= 1
            sink.channel.close()


async def _open_in_the_dark(tunnel: Tunnel, sink: CollectingSession, relay: LinkRelay) -> None:
    """Open the channel with the way up open for the answer alone."""
    relay.up.set()
    await tunnel.open_channel(sink)
    relay.up.clear()


async def test_a_stalled_channel_does_not_stop_its_neighbours(server: TunnelServer) -> None:
    """One reader that pauses uses up its own window; the link stays open for the others."""
    connection = await raw_connection(server.port, server.agents.add())
    unread: list[object] = []

    class Unread(Sink):
        def connection_made(self, chan: object) -> None:
            self.channel = chan
            self.is_first = not unread
            unread.append(chan)

        def data_received(self, data: bytes, datatype: int | None) -> None:
            if self.is_first:
                self.channel.pause_reading()  # type: ignore[attr-defined]  # a channel of asyncssh can

    await connection.create_server(lambda host, port: Unread(), "store", 80, window=256 * 1024)
    control = await raw_control(connection)
    control.say(raw_hello())
    await control.answer("welcome")
    (tunnel,) = server.registry.tunnels(AGENT_ID)
    stalled, running = Source(), Source(limit=20 * MIB)
    await tunnel.open_channel(stalled)
    async with asyncio.timeout(20):
        await stalled.stalled.wait()
    await tunnel.open_channel(running)
    await until(lambda: running.written >= running.limit)
    assert stalled.written < MIB
    connection.abort()


async def test_the_socket_options_are_set_on_both_ends(server: TunnelServer) -> None:
    async with agent(server.token(server.agents.add())) as supervisor:
        (tunnel,) = await server.wait_tunnels(1)
        await supervisor.wait_for(lambda sup: sup.is_ready)
        near = tunnel.link._conn.get_extra_info("socket")  # type: ignore[attr-defined]  # the registry knows a link by its protocol only
        far = supervisor._keepers[0]._link._conn.get_extra_info("socket")  # type: ignore[union-attr]  # the link is up
        for sock in (near, far):
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 2
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
            assert sock.getsockopt(socket.IPPROTO_TCP, 25) == 65536  # TCP_NOTSENT_LOWAT
