"""The baseline: asyncssh as it comes, splicing TCP, on uvloop, with aes128-gcm, without logging.

``python -m tests.bench.tunnels.splice server SSH_PORT`` and ``... client SSH_PORT LISTEN_PORT STORE_PORT``.
"""

from __future__ import annotations

import asyncio
import sys

import asyncssh
import uvloop

LOOPBACK = "127.0.0.1"
CIPHER = ["aes128-gcm@openssh.com"]


class Server(asyncssh.SSHServer):
    """Lets everybody in, and forwards what is asked for."""

    def begin_auth(self, username: str) -> bool:
        return False

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return True


async def serve(port: int) -> None:
    """Run the server until the process ends."""
    await asyncssh.listen(
        LOOPBACK,
        port,
        server_factory=Server,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        encryption_algs=CIPHER,
        compression_algs=None,
    )
    await _ready()


async def connect(port: int, listen_port: int, store_port: int) -> None:
    """Run the client until the process ends."""
    conn = await asyncssh.connect(
        LOOPBACK,
        port,
        known_hosts=None,  # nothing is secret here
        username="bench",
        client_keys=None,
        config=None,
        encryption_algs=CIPHER,
        compression_algs=None,
    )
    await conn.forward_remote_port(LOOPBACK, listen_port, LOOPBACK, store_port)
    await _ready()


async def _ready() -> None:
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    ports = [int(argument) for argument in sys.argv[2:]]
    uvloop.run(serve(*ports) if sys.argv[1] == "server" else connect(*ports))
