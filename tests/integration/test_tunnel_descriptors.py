"""A login that fails closes its own descriptor, once: numbers of descriptors are given to others at once."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path

import pytest

from agent.tunnel.config import TunnelConfig
from agent.tunnel.dial import dial
from agent.tunnel.ssh import LoginError, login
from agent.tunnel.token import AccessToken, new_secret

TOKEN = AccessToken(("127.0.0.1:9",), ("SHA256:" + "A" * 43,), "lyon-1", new_secret())
ATTEMPTS = 20


async def _others_survive() -> None:
    """Fail to log in, let another socket take the descriptor's number, and see that nobody closes it."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as refusing:
        port = refusing.sockets[0].getsockname()[1]
        held: list[int] = []
        for _ in range(ATTEMPTS):
            sock = await dial("127.0.0.1", port)
            with pytest.raises(LoginError):
                await login(sock, "127.0.0.1:9", TOKEN, TunnelConfig(), lambda error: None)
            mine, other = socket.socketpair()
            for _ in range(5):  # turns of the loop in which a late close comes
                await asyncio.sleep(0)
            other.send(b"x")
            assert mine.recv(1) == b"x"
            for each in (mine, other):
                each.close()
            assert sock.fileno() == -1  # else its end as garbage would close a descriptor of somebody else
            held.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))
        assert held[-1] <= held[1], held  # and none is left open


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_failed_login_closes_its_own_socket_and_nobody_elses(loop: str) -> None:
    pytest.importorskip(loop).run(_others_survive())
