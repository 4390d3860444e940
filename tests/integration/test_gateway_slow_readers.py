"""Clients that do not read, read late or read slowly: who is reset, who is not, and that nobody is kept for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.server.gateway_context import GatewayLimits
from tests.kit.asking import KEY, request
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.small_buffers import read_all, shrink_send_buffers, small_buffer_client
from tests.kit.until import until

UNIT_S = 0.1
QUICK = GatewayLimits(
    client_head_s=2 * UNIT_S, client_stall_s=2 * UNIT_S, client_idle_s=2 * UNIT_S, body_max_bytes=1000
)


@pytest.fixture
async def cluster(store: ScriptedStore) -> AsyncIterator[Cluster]:
    async with Cluster([Link("lyon", loopback_store(store.port))], mode="cloud", limits=QUICK) as running:
        yield running


async def big(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
    await connection.send(ok(b"x" * 20_000_000))
    return None


async def test_a_client_that_does_not_read_is_reset_and_others_are_not(store: ScriptedStore, cluster: Cluster) -> None:
    gone = asyncio.Event()

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        if b"/big" not in seen.raw_head:
            return ok()
        try:
            return await big(seen, connection)
        except ConnectionError:
            gone.set()
            raise

    store.script = script
    with small_buffer_client(cluster.port) as unread:
        unread.send(request(b"/lyon/api/big"))
        async with cluster.client() as other:
            while not gone.is_set():
                assert (await other.ask(request())).status == 200
        assert ("client_gone", 0) in [(record.error, record.status) for record in cluster.records]
        with pytest.raises(ConnectionResetError):
            await read_all(unread)


async def test_a_pipelining_client_that_does_not_read_gives_its_place_back(
    store: ScriptedStore, cluster: Cluster
) -> None:
    """The second answer is small and whole; it must not wait for the client for ever."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"x" * 4_000_000) if b"/big" in seen.raw_head else ok()

    store.script = script
    with small_buffer_client(cluster.port) as unread:
        unread.send(request(b"/lyon/api/big") + request(b"/lyon/api/small"))
        await until(lambda: bool(cluster.records) and not cluster.gateway.context.active)
        with pytest.raises(ConnectionResetError):
            await read_all(unread)


async def test_a_whole_answer_that_nobody_takes_ends_as_well(store: ScriptedStore, cluster: Cluster) -> None:
    """The exchange is over and its answer is in the gateway's buffers: the connection may not stay for ever."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"x" * 3_000_000)

    store.script = script
    for fields in (b"", b"Connection: close\r\n"):
        with small_buffer_client(cluster.port) as unread:
            unread.send(request(fields=KEY + fields))
            await until(lambda: bool(cluster.gateway._clients))
            await until(lambda: not cluster.gateway._clients)


@pytest.mark.parametrize("fields", [b"", b"Connection: close\r\n"])
async def test_who_reads_late_gets_everything_and_is_closed_when_it_idles(
    store: ScriptedStore, cluster: Cluster, fields: bytes
) -> None:
    """The exchange is over while most of its answer is still in the gateway's buffer."""
    size = 50_000  # one segment of the loopback device

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"x" * size)

    store.script = script
    shrink_send_buffers(cluster.gateway)
    with small_buffer_client(cluster.port) as late:
        await until(lambda: bool(cluster.gateway._clients))
        connection = next(iter(cluster.gateway._clients))
        connection._transport.set_write_buffer_limits(high=10_000)
        late.send(request(fields=KEY + fields))
        await until(lambda: bool(cluster.records))
        assert connection._full
        assert len(await read_all(late)) > size
    assert cluster.records[-1].status == 200


async def test_who_reads_slowly_is_not_stalled(store: ScriptedStore, cluster: Cluster) -> None:
    """Its buffer takes longer than the limit to become empty, and it takes something all the time."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"x" * 200_000)

    store.script = script
    shrink_send_buffers(cluster.gateway)
    loop = asyncio.get_running_loop()
    with small_buffer_client(cluster.port) as slow:
        slow.send(request(fields=KEY + b"Connection: close\r\n"))
        began = loop.time()
        taken = 0
        async with asyncio.timeout(20):
            while data := await loop.sock_recv(slow, 8_000):
                taken += len(data)
                await asyncio.sleep(UNIT_S / 4)
    assert taken > 200_000
    assert loop.time() - began > 3 * UNIT_S
