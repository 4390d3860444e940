"""Answers whose end is their connection's end: one that was cut short must never look whole."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from agent.server.gateway_context import GatewayLimits
from tests.kit.asking import KEY, request
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.scripted_store import Script, ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.small_buffers import read_all, shrink_send_buffers, small_buffer_client
from tests.kit.until import until

UNTIL_EOF = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
SIZE = 60_000  # one that the gateway takes whole, whatever the client does
STALL_S = 0.4


@pytest.fixture
async def cluster(store: ScriptedStore) -> AsyncIterator[Cluster]:
    limits = GatewayLimits(client_stall_s=STALL_S)
    async with Cluster([Link("lyon", loopback_store(store.port))], mode="cloud", limits=limits) as running:
        shrink_send_buffers(running.gateway)
        yield running


async def whole(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
    """All at once."""
    await connection.send(UNTIL_EOF + b"x" * SIZE)
    connection.writer.close()
    return None


async def half(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
    """The end does not come."""
    await connection.send(UNTIL_EOF + b"x" * 1000)
    await connection.until_gone()
    return None


async def test_a_client_that_stalls_before_the_end(store: ScriptedStore, cluster: Cluster) -> None:
    """The exchange is over, the rest of its answer is in the gateway."""
    store.script = whole
    with small_buffer_client(cluster.port) as client:
        client.send(request())
        await until(lambda: bool(cluster.records))
        assert cluster.records[0].status == 200
        await until(lambda: not cluster.gateway._clients)
        with pytest.raises(ConnectionResetError):
            await read_all(client)


@pytest.mark.parametrize("drain_s", [0.0, 0.05])
@pytest.mark.parametrize("script", [whole, half])
async def test_a_server_that_ends_before_the_end(
    store: ScriptedStore, cluster: Cluster, script: Script, drain_s: float
) -> None:
    store.script = script
    with small_buffer_client(cluster.port) as client:
        client.send(request())
        await asyncio.get_running_loop().sock_recv(client, 1)
        if script is whole:
            await until(lambda: bool(cluster.records))
        await cluster.gateway.drain(drain_s)
        await cluster.gateway.close()
        with pytest.raises(ConnectionResetError):
            await read_all(client)


async def test_a_client_that_says_eof_in_the_middle_of_its_answer(store: ScriptedStore, cluster: Cluster) -> None:
    store.script = half
    with small_buffer_client(cluster.port) as client:
        client.send(request())
        await asyncio.get_running_loop().sock_recv(client, 1)
        client.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            await read_all(client)
    assert [(record.status, record.error) for record in cluster.records] == [(0, "client_gone")]
    await store.wait_for_connections_closed(1)


async def test_a_client_that_says_eof_when_its_answer_is_under_way(store: ScriptedStore, cluster: Cluster) -> None:
    """Nothing is missing then: it gets the rest."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"x" * SIZE)

    store.script = script
    with small_buffer_client(cluster.port) as client:
        client.send(request(fields=KEY))
        await until(lambda: bool(cluster.records))
        client.shutdown(socket.SHUT_WR)
        received = await read_all(client)
    assert received.endswith(b"\r\n\r\n" + b"x" * SIZE)
