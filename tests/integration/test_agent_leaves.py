"""An agent that leaves: an answer that has left it whole, and that its client reads slowly, is not cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent.tunnel.config import TunnelConfig
from tests.kit.cluster import CLIENT_KEY, FAST_BACKOFF, Cluster, Link, loopback_store
from tests.kit.raw_client import basic
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.small_buffers import read_all, shrink_send_buffers, small_buffer_client
from tests.kit.until import until

BODY = b"x" * 1_000_000  # fits into the channel's window, not into what gateway and client take
REQUEST = b"GET /shop/api/products HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n" + basic(CLIENT_KEY) + b"\r\n"


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(BODY)

    tunnel = TunnelConfig(tunnels=2, backoff=FAST_BACKOFF, bye_grace_s=0.2)
    async with (
        ScriptedStore(script) as store,
        Cluster([Link("shop", loopback_store(store.port))], tunnel=tunnel) as running,
    ):
        shrink_send_buffers(running.gateway)
        yield running


async def test_an_answer_that_waits_in_the_server_is_read_to_its_end(cluster: Cluster) -> None:
    agent = cluster.running[0]
    with small_buffer_client(cluster.port) as client:
        client.send(REQUEST)
        await until(lambda: bool(agent.records))
        assert agent.context.active == 0
        draining = asyncio.ensure_future(agent.supervisor.drain(30))
        await until(lambda: not cluster.tunnels)  # it has said bye
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(draining), 2 * cluster.tunnel.bye_grace_s)
        received = await read_all(client)
        assert received.endswith(b"\r\n\r\n" + BODY)
        async with asyncio.timeout(10):
            assert await draining is True


async def test_a_client_that_never_reads_does_not_keep_it(cluster: Cluster) -> None:
    agent = cluster.running[0]
    with small_buffer_client(cluster.port) as client:
        client.send(REQUEST)
        await until(lambda: bool(agent.records))
        async with asyncio.timeout(10):
            assert await agent.supervisor.drain(0.5) is False


async def test_the_server_ends_it_for_an_agent_that_waits_for_ever() -> None:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(BODY)

    ssh = replace(Cluster([]).ssh, leave_max_s=0.2)
    async with (
        ScriptedStore(script) as store,
        Cluster([Link("shop", loopback_store(store.port))], ssh=ssh) as cluster,
    ):
        shrink_send_buffers(cluster.gateway)
        agent = cluster.running[0]
        with small_buffer_client(cluster.port) as client:
            client.send(REQUEST)
            await until(lambda: bool(agent.records))
            async with asyncio.timeout(10):
                await agent.supervisor.drain(3600)
            with pytest.raises(ConnectionResetError):
                await read_all(client)
