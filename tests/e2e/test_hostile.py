"""The hostile requests over real sockets: no byte of one reaches the store, and each gets the error of its kind.

Those for the gateway come from a client; those for the agent come over an SSH channel from a gateway that lies, since
the agent relies on nothing that the gateway may have done.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from agent.errors import BY_NAME
from agent.store_url import Store
from agent.streams import ByteChannel
from agent.tunnel.config import TunnelConfig
from tests.kit.cluster import API_KEY, CLIENT_KEY, FAST_BACKOFF, Cluster, Link, loopback_store
from tests.kit.hostile import HOSTILE, STRIPPED, Hop, Hostile, Scene, Stripped
from tests.kit.raw_client import basic
from tests.kit.scripted_store import ScriptedStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLUG = "lyon"
_ERROR = re.compile(rb'\r\nProxy-Status: [a-z-]+; error=[a-z_]+; details="([a-z_]+)"\r\n')
_NONCE = re.compile(rb"\r\nX-Tunnel-Nonce: ([0-9a-f]+) ([a-z_]+)\r\n")


class LyingGateway:
    """The near end of a channel to the agent (a ``ByteSession``) that sends what it likes."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.over = asyncio.Event()
        self.more = asyncio.Event()
        self.channel: ByteChannel

    def connection_made(self, channel: ByteChannel) -> None:
        self.channel = channel

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.more.set()

    def eof_received(self) -> None:
        self.over.set()
        self.more.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.over.set()
        self.more.set()

    def pause_writing(self) -> None:
        """What a request here weighs fits into the window."""

    def resume_writing(self) -> None:
        """See ``pause_writing``."""

    async def answer(self) -> bytes:
        """One whole answer, or what came before the channel ended."""
        while not self.over.is_set() and not self._is_whole():
            self.more.clear()
            await self.more.wait()
        return bytes(self.received)

    def _is_whole(self) -> bool:
        head, end, body = bytes(self.received).partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
        return bool(end) and length is not None and len(body) >= int(length[1])


@dataclass
class Stage:
    """One store in the folder /shop/, all of it open; client and lying gateway both hold good credentials."""

    cluster: Cluster
    store: ScriptedStore
    shop: Store

    async def send(self, hop: Hop, raw: bytes) -> bytes:
        """Send over a connection of its own, and return what comes back until the answer is whole or over."""
        scene = Scene(self.shop, SLUG, CLIENT_KEY if hop == "gateway" else API_KEY)
        filled = scene.fill(raw)
        async with asyncio.timeout(20):
            return await (self._by_client(filled) if hop == "gateway" else self._by_gateway(filled))

    async def _by_client(self, raw: bytes) -> bytes:
        async with self.cluster.client() as client:
            try:
                await client.send(raw)
                return (await client.answer()).raw
            except ConnectionError:
                return b""

    async def _by_gateway(self, raw: bytes) -> bytes:
        liar = LyingGateway()
        await self.cluster.tunnels[0].open_channel(liar)
        try:
            liar.channel.write(raw)
            return await liar.answer()
        finally:
            liar.channel.abort()

    async def good_request(self) -> None:
        """An honest request is served as if nothing had been, and nothing came before it."""
        before = len(self.store.requests)
        async with self.cluster.client() as client:
            head = f"GET /{SLUG}/api/products HTTP/1.1\r\nHost: gateway.example\r\n".encode()
            answer = await client.ask(head + basic(CLIENT_KEY) + b"\r\n")
        assert answer.status == 200
        assert len(self.store.requests) == before + 1

    def forget(self) -> None:
        """Begin to record anew."""
        self.store.requests.clear()
        for connection in self.store.connections:
            connection.received.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(ScriptedStore())
        shop = loopback_store(store.port, base_path="/shop/")
        tunnel = TunnelConfig(tunnels=1, backoff=FAST_BACKOFF)
        cluster = await stack.enter_async_context(Cluster([Link(SLUG, shop)], tunnel=tunnel))
        yield Stage(cluster, store, shop)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: one.id)
async def test_a_hostile_request_reaches_no_store(stage: Stage, hostile: Hostile) -> None:
    stage.forget()
    answer = await stage.send(hostile.hop, hostile.raw)
    assert not stage.store.requests
    if not hostile.cut:
        assert stage.store.received == b""
    if hostile.error == "closed":
        assert answer == b""
    else:
        assert answer.startswith(b"HTTP/1.1 %d " % BY_NAME[hostile.error].status), answer
        found = _ERROR.search(answer)
        assert found is not None and found[1].decode() == hostile.error
        marked = _NONCE.search(answer)
        if hostile.hop == "agent":
            assert marked is not None and marked[1] == stage.cluster.tunnels[0].nonce
        else:
            assert marked is None
    await stage.good_request()


@pytest.mark.parametrize("stripped", STRIPPED, ids=lambda one: one.id)
async def test_what_is_hostile_in_a_request_that_is_served_does_not_reach_the_store(
    stage: Stage, stripped: Stripped
) -> None:
    stage.forget()
    answer = await stage.send(stripped.hop, stripped.raw)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    scene = Scene(stage.shop, SLUG, CLIENT_KEY if stripped.hop == "gateway" else API_KEY)
    received = stage.store.received
    for bytes_ in stripped.absent:
        assert scene.fill(bytes_).lower() not in received.lower()
    for bytes_ in stripped.present:
        assert scene.fill(bytes_) in received
    await stage.good_request()


async def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 100
    assert {hostile.hop for hostile in HOSTILE} == {"gateway", "agent"}
    assert len({hostile.id for hostile in HOSTILE}) == len(HOSTILE)
