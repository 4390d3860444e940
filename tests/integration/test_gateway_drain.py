"""A server that leaves: what it has begun it finishes, what it has not begun it refuses at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.kit.asking import KEY, request
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.small_buffers import read_all, shrink_send_buffers, small_buffer_client
from tests.kit.until import until

LONG_S = 30.0
SIZE = 60_000  # one that the gateway takes whole, whatever the client does


@pytest.fixture
async def cluster(store: ScriptedStore) -> AsyncIterator[Cluster]:
    async with Cluster([Link("lyon", loopback_store(store.port), concurrency=1)], mode="cloud") as running:
        shrink_send_buffers(running.gateway)
        yield running


@pytest.mark.parametrize("fields", [b"", b"Connection: close\r\n"])
async def test_a_whole_answer_is_delivered_to_its_end(store: ScriptedStore, cluster: Cluster, fields: bytes) -> None:
    """Its exchange is over when the drain begins; most of it is still in the gateway's buffer."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"x" * SIZE)

    store.script = script
    with small_buffer_client(cluster.port) as client:
        client.send(request(fields=KEY + fields))
        await until(lambda: bool(cluster.records))
        closing = asyncio.ensure_future(cluster.gateway.close(LONG_S))
        await asyncio.sleep(0)  # into its waiting
        received = await read_all(client)
        assert received.endswith(b"\r\n\r\n" + b"x" * SIZE)
        async with asyncio.timeout(5):
            await closing


async def test_pipelined_requests_are_not_begun_and_do_not_spoil_the_answer_before_them(
    store: ScriptedStore, cluster: Cluster
) -> None:
    go = asyncio.Event()

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await go.wait()
        return ok()

    store.script = script
    async with cluster.client() as client:
        await client.send(request() * 3000)
        await store.wait_for_requests(1)
        closing = asyncio.ensure_future(cluster.gateway.close(LONG_S))
        await asyncio.sleep(0)  # into its waiting
        go.set()
        answer = await client.answer()
        assert (answer.status, answer.field("Connection")) == (200, "close")
        assert await client.rest() == b""
        client.writer.close()
        async with asyncio.timeout(5):
            await closing
    assert len(store.requests) == 1


async def test_one_that_waits_for_its_turn_is_refused_at_once(store: ScriptedStore, cluster: Cluster) -> None:
    go = asyncio.Event()

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await go.wait()
        return ok()

    store.script = script
    async with cluster.client() as first, cluster.client() as second:
        await first.send(request())
        await store.wait_for_requests(1)
        await second.send(request(method=b"DELETE"))
        await until(lambda: cluster.gateway.context.active == 2)
        closing = asyncio.ensure_future(cluster.gateway.close(LONG_S))
        answer = await second.answer(timeout_s=5)
        assert (answer.status, answer.error_name) == (503, "server_draining")
        assert answer.field("Connection") == "close"
        go.set()
        assert (await first.answer()).status == 200
        async with asyncio.timeout(5):
            await closing
    assert len(store.requests) == 1


async def test_one_that_waits_for_a_tunnel_is_refused_at_once(store: ScriptedStore) -> None:
    async with Cluster([Link("lyon", loopback_store(store.port))], agents=0) as cluster, cluster.client() as client:
        await client.send(request(method=b"DELETE"))
        await until(lambda: cluster.gateway.context.upstreams.parked_count == 1)
        async with asyncio.timeout(5):
            await cluster.gateway.close(LONG_S)
        answer = await client.answer()
        assert (answer.status, answer.error_name) == (503, "server_draining")
