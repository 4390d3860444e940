"""Clients and listeners whose kernel buffers are small, so that what is not read soon waits in the server itself."""

from __future__ import annotations

import asyncio
import socket

from agent.server.gateway import Gateway


def small_buffer_client(port: int) -> socket.socket:
    """A client that takes little and reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def shrink_send_buffers(gateway: Gateway) -> None:
    """For all clients that connect from now on."""
    for server in gateway._servers:
        for listening in server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)


async def read_all(sock: socket.socket) -> bytes:
    """Bytes until EOF; a RST raises ``ConnectionResetError``."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    async with asyncio.timeout(20):
        while data := await loop.sock_recv(sock, 65536):
            received += data
    return bytes(received)
