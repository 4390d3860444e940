"""snitun's two ends, on uvloop: its server takes TLS by server name, its client hands it to the store as it came.

``python -m tests.bench.tunnels.snitun_ends server PEER_PORT LISTEN_PORT`` and ``... client PEER_PORT STORE_PORT``.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import sys

import uvloop
from snitun.client.client_peer import ClientPeer
from snitun.client.connector import Connector
from snitun.server.run import SniTunServer
from snitun.utils.server import generate_client_token

from tests.bench.tunnels.place import LOOPBACK
from tests.bench.tunnels.store import TLS_NAME

# Both ends are ours and end with the run: nothing is secret here.
FERNET_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
AES_KEY, AES_IV = bytes(32), bytes(16)


async def serve(peer_port: int, listen_port: int) -> None:
    """Run the server until the process ends."""
    server = SniTunServer(
        [FERNET_KEY], sni_host=LOOPBACK, sni_port=listen_port, peer_host=LOOPBACK, peer_port=peer_port
    )
    await server.start()
    await _ready()


async def connect(peer_port: int, store_port: int) -> None:
    """Run the client until the process ends."""
    client = ClientPeer(LOOPBACK, peer_port)
    token = generate_client_token([FERNET_KEY], datetime.timedelta(days=1), TLS_NAME, AES_KEY, AES_IV)
    await client.start(Connector(LOOPBACK, store_port), token, AES_KEY, AES_IV)
    await _ready()


async def _ready() -> None:
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    ports = [int(argument) for argument in sys.argv[2:]]
    uvloop.run(serve(*ports) if sys.argv[1] == "server" else connect(*ports))
