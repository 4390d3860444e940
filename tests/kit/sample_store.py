"""The sample store for tests: started on any port, and asked over a connection of its own."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator

from agent.demo.store import ApiKey, SampleStore, StoreConfig
from agent.demo.store.config import READ
from tests.kit.wire_client import WireClient, WireResponse

KEY = "SAMPLESTORETESTFULLKEY0000000001"
READ_KEY = "SAMPLESTORETESTREADKEY0000000002"
CONFIG = StoreConfig(keys=(ApiKey(KEY), ApiKey(READ_KEY, {"products": READ})))
BOUNDARY = "multipart/form-data; boundary=b"


@contextlib.asynccontextmanager
async def running(config: StoreConfig = CONFIG) -> AsyncIterator[SampleStore]:
    """A sample store that listens on a port of its own."""
    store = SampleStore(config)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


def head(store: SampleStore, request: str, *fields: str, key: str = KEY) -> bytes:
    """The head of a request with an API key; ``request`` is method and target."""
    credentials = base64.b64encode(f"{key}:".encode()).decode()
    lines = [f"{request} HTTP/1.1", f"Host: {store.domain}", f"Authorization: Basic {credentials}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def ask(
    store: SampleStore, request: str, *fields: str, body: bytes = b"", key: str = KEY, port: int | None = None
) -> WireResponse:
    """Send one request on a connection of its own."""
    client = await WireClient.connect(port or store.port)
    try:
        length = (f"Content-Length: {len(body)}",) if body else ()
        await client.send(head(store, request, *fields, *length, key=key) + body)
        return await client.read(request.partition(" ")[0])
    finally:
        await client.close()


def multipart(*fields: tuple[str, str], picture: bytes = b"") -> bytes:
    """A body of the type ``BOUNDARY``: fields, and a picture as a browser uploads one."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields
    ]
    if picture:
        parts.append(
            b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
            + picture
            + b"\r\n"
        )
    return b"".join(parts) + b"--b--\r\n"
