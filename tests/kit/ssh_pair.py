"""Two ends of one SSH connection in this process, with or without the fast path, and a wire that can lie."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncssh
from asyncssh.connection import SSHConnection

from agent.server.listener import VirtualListener
from agent.tunnel.algorithms import KEX_ALGS, LISTEN_HOST, LISTEN_PORT
from agent.tunnel.fastpath import FastPath, install
from tests.kit.until import until

Tamper = Callable[[str, bytes], bytes | None]
"""Given the direction (``up`` is towards the server) and bytes; None ends the connection there."""

PASSWORD = "secret of the pair"


class Recorder(asyncssh.SSHTCPSession[bytes]):
    """Keeps what came on one channel, in order."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended: list[str] = []
        self.channel: asyncssh.SSHTCPChannel[bytes]

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        assert data
        self.received += data

    def eof_received(self) -> bool:
        self.ended.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append(type(exc).__name__)


@dataclass
class End:
    """One end: its connection, its fast path if it has one, what it was told at the end."""

    has_fast_path: bool
    lost: list[Exception | None] = field(default_factory=list)
    path: FastPath | None = None
    conn: SSHConnection = field(init=False)

    def logged_in(self, conn: SSHConnection) -> None:
        """Called by asyncssh's owner objects."""
        self.conn = conn
        if self.has_fast_path:
            self.path = install(conn)
            assert (self.path is not None) == ("gcm" in str(conn.get_extra_info("send_cipher")))


class _Client(asyncssh.SSHClient):
    def __init__(self, end: End) -> None:
        self._end = end

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._conn = conn

    def auth_completed(self) -> None:
        self._end.logged_in(self._conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.lost.append(exc)


class _Server(asyncssh.SSHServer):
    def __init__(self, end: End) -> None:
        self._end = end

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD

    def auth_completed(self) -> None:
        self._end.logged_in(self._conn)

    def server_requested(self, listen_host: str, listen_port: int) -> asyncssh.SSHListener:
        return VirtualListener(lambda: None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.lost.append(exc)


@dataclass
class Pair:
    """Both ends, logged in, and the agent's sessions in the order in which their channels were opened."""

    client: End
    server: End
    opened: list[Recorder] = field(default_factory=list)

    async def channel(self, window: int = 1 << 16) -> tuple[Recorder, Recorder]:
        """Open one as the gateway does; the server's session and the client's."""
        number = len(self.opened)
        assert isinstance(self.server.conn, asyncssh.SSHServerConnection)
        _, session = await self.server.conn.create_connection(Recorder, LISTEN_HOST, LISTEN_PORT, window=window)
        assert isinstance(session, Recorder)
        return session, self.opened[number]

    async def ended(self) -> None:
        """Both ends know that the connection is gone."""
        await until(lambda: bool(self.client.lost and self.server.lost))


@asynccontextmanager
async def ssh_pair(
    *,
    fast_client: bool,
    fast_server: bool,
    cipher: str = "aes128-gcm@openssh.com",
    rekey_bytes: int = 1 << 34,
    rekey_seconds: float = 3600,
    tamper: Tamper | None = None,
    piece_bytes: int = 0,
    packet_bytes: int = 1 << 15,
) -> AsyncIterator[Pair]:
    """An SSH connection over socket pairs; ``tamper`` sees every byte, and ``piece_bytes`` arrive at a time.

    The client takes packets with ``packet_bytes`` of data in its channels.
    """
    pair = Pair(End(fast_client), End(fast_server))
    near, far, pumps = _wire(tamper, piece_bytes)
    common = {
        "encryption_algs": [cipher],
        "kex_algs": list(KEX_ALGS),
        "compression_algs": None,
        "rekey_bytes": rekey_bytes,
        "rekey_seconds": rekey_seconds,
    }
    serving = asyncio.ensure_future(
        asyncssh.run_server(
            far,
            server_factory=lambda: _Server(pair.server),
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            **common,
        )
    )
    client = await asyncssh.connect(
        "pair",
        sock=near,
        client_factory=lambda: _Client(pair.client),
        known_hosts=None,
        config=None,
        username="pair",
        password=PASSWORD,
        client_keys=None,
        **common,
    )
    await serving

    def session(orig_host: str, orig_port: int) -> Recorder:
        pair.opened.append(Recorder())
        return pair.opened[-1]

    await client.create_server(session, LISTEN_HOST, LISTEN_PORT, window=1 << 16, max_pktsize=packet_bytes)
    try:
        yield pair
    finally:
        pair.client.conn.abort()
        pair.server.conn.abort()
        await pair.ended()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


def _wire(tamper: Tamper | None, piece_bytes: int) -> tuple[socket.socket, socket.socket, list[asyncio.Task[None]]]:
    near, middle_near = socket.socketpair()
    if tamper is None and not piece_bytes:
        return near, middle_near, []
    middle_far, far = socket.socketpair()
    for middle in (middle_near, middle_far):
        middle.setblocking(False)

    async def pump(direction: str, source: socket.socket, target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(source, 1 << 16):
                changed = tamper(direction, data) if tamper is not None else data
                if changed is None:
                    return
                for start in range(0, len(changed), piece_bytes or len(changed)):
                    await loop.sock_sendall(target, changed[start : start + (piece_bytes or len(changed))])
                    await asyncio.sleep(0)
        except OSError:
            return
        finally:
            for sock in (source, target):
                if sock.fileno() >= 0:
                    sock.close()

    pumps = [
        asyncio.create_task(pump("up", middle_near, middle_far)),
        asyncio.create_task(pump("down", middle_far, middle_near)),
    ]
    return near, far, pumps
