"""A server that leaves: it serves on while a long exchange ends, then takes nobody, and finishes what it has."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.asking import KEY, request
from tests.kit.certificates import CertificateAuthority
from tests.kit.cluster import LOOPBACK, Cluster, Link, loopback_store
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
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await asyncio.sleep(0)  # into its waiting
        received = await read_all(client)
        assert received.endswith(b"\r\n\r\n" + b"x" * SIZE)
        async with asyncio.timeout(5):
            assert await draining


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
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await asyncio.sleep(0)  # into its waiting
        go.set()
        answer = await client.answer()
        assert (answer.status, answer.field("Connection")) == (200, "close")
        assert await client.rest() == b""
        client.writer.close()
        async with asyncio.timeout(5):
            assert await draining
    assert len(store.requests) == 1


async def test_others_are_served_while_a_long_exchange_ends(store: ScriptedStore, cluster: Cluster) -> None:
    """Else everybody would wait for the next server as long as one export takes; their connections end, though."""
    go = asyncio.Event()

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        if b"/api/orders" in seen.raw_head:
            await go.wait()
        return ok()

    store.script = script
    cluster.set_links([Link("lyon", loopback_store(store.port), concurrency=2)])
    async with cluster.client() as export:
        await export.send(request(b"/lyon/api/orders"))
        await store.wait_for_requests(1)
        port = cluster.port
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await asyncio.sleep(0)  # into its waiting
        for _ in range(3):
            async with cluster.client() as other:
                answer = await other.ask(request())
                assert (answer.status, answer.field("Connection")) == (200, "close")
                assert await other.rest() == b""
        assert not draining.done()
        go.set()
        assert (await export.answer()).status == 200
        assert await draining
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_what_begins_meanwhile_does_not_put_the_end_off(store: ScriptedStore, cluster: Cluster) -> None:
    go = [asyncio.Event(), asyncio.Event()]

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await go[0 if b"/api/orders" in seen.raw_head else 1].wait()
        return ok()

    store.script = script
    cluster.set_links([Link("lyon", loopback_store(store.port), concurrency=2)])
    async with cluster.client() as first, cluster.client() as second:
        await first.send(request(b"/lyon/api/orders"))
        await store.wait_for_requests(1)
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await second.send(request())
        await store.wait_for_requests(2)
        go[0].set()
        assert (await first.answer()).status == 200
        await until(lambda: not cluster.gateway.accepts)
        assert not draining.done()
        go[1].set()
        assert (await second.answer()).status == 200
        assert await draining


async def test_one_that_waits_for_its_turn_gets_it(store: ScriptedStore, cluster: Cluster) -> None:
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
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await asyncio.sleep(0)  # into its waiting
        go.set()
        assert [(await client.answer()).status for client in (first, second)] == [200, 200]
        assert await draining


async def test_a_connection_that_was_just_accepted_may_send_its_request(cluster: Cluster) -> None:
    async with cluster.client() as client:
        await until(lambda: "1 clients" in repr(cluster.gateway))
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await until(lambda: not cluster.gateway.accepts)
        answer = await client.ask(request())
        assert (answer.status, answer.field("Connection")) == (200, "close")
        assert await draining


async def test_one_that_is_sending_its_head_may_send_the_rest(cluster: Cluster) -> None:
    async with cluster.client() as client:
        assert (await client.ask(request())).status == 200
        whole = request()
        await client.send(whole[:20])
        await until(lambda: all(each._heads for each in cluster.gateway._clients))
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await until(lambda: not cluster.gateway.accepts)
        await client.send(whole[20:])
        assert (await client.answer()).status == 200
        assert await draining


async def test_one_that_was_told_to_keep_its_connection_may_send_its_next_request(
    store: ScriptedStore, cluster: Cluster
) -> None:
    """The head of its answer went out before the drain; closing behind the answer would meet the next request."""
    go = asyncio.Event()

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        if seen.raw_head.startswith(b"POST"):
            return ok()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        await go.wait()
        return b"lf"

    store.script = script
    async with cluster.client() as client:
        await client.send(request())
        assert b"close" not in await client.reader.readuntil(b"ha")
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await asyncio.sleep(0)  # into its waiting
        go.set()
        assert await client.reader.readexactly(2) == b"lf"
        await until(lambda: not cluster.gateway.accepts)
        answer = await client.ask(request(method=b"POST", body=b"x"))
        assert (answer.status, answer.field("Connection")) == (200, "close")
        async with asyncio.timeout(5):
            assert await draining


async def test_those_that_the_kernel_has_accepted_are_served(cluster: Cluster) -> None:
    with contextlib.ExitStack() as stack:
        connected = [stack.enter_context(socket.create_connection((LOOPBACK, cluster.port))) for _ in range(5)]
        for sock in connected:
            sock.sendall(request())
            sock.setblocking(False)
        assert await cluster.gateway.drain(LONG_S)  # nothing ran between: all are in the kernel's queue
        for sock in connected:
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")


async def test_one_in_the_middle_of_its_tls_handshake_is_served(cluster: Cluster, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    await cluster.gateway.start(LOOPBACK, 0, authority.server_context(LOOPBACK))
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    with socket.create_connection((LOOPBACK, cluster.gateway._servers[-1].sockets[0].getsockname()[1])) as sock:
        sock.setblocking(False)
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await until(lambda: not cluster.gateway.accepts)
        assert not draining.done()
        reader, writer = await asyncio.open_connection(sock=sock, ssl=trust, server_hostname=LOOPBACK)
        writer.write(request())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert await draining
        writer.transport.abort()


async def test_a_connection_kept_alive_without_a_request_ends_at_once(cluster: Cluster) -> None:
    async with cluster.client() as client:
        assert (await client.ask(request())).status == 200
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        async with asyncio.timeout(0.9):  # less than a new connection would get
            assert await client.rest() == b""
        client.writer.close()
        assert await draining


async def test_one_that_waits_for_a_tunnel_is_served_when_it_comes_soon(store: ScriptedStore) -> None:
    async with Cluster([Link("lyon", loopback_store(store.port))], agents=0) as cluster, cluster.client() as client:
        await client.send(request(method=b"DELETE"))
        await until(lambda: cluster.gateway.context.upstreams.parked_count == 1)
        draining = asyncio.ensure_future(cluster.gateway.drain(LONG_S))
        await until(lambda: not cluster.gateway.accepts)
        cluster.agents = 1
        cluster.start_agent()
        assert (await client.answer()).status == 200
        assert await draining


async def test_one_that_waits_for_a_tunnel_that_does_not_come_is_refused(store: ScriptedStore) -> None:
    async with Cluster([Link("lyon", loopback_store(store.port))], agents=0) as cluster, cluster.client() as client:
        await client.send(request(method=b"DELETE"))
        await until(lambda: cluster.gateway.context.upstreams.parked_count == 1)
        cluster.gateway.context.refuse_waiting()
        answer = await client.answer()
        assert (answer.status, answer.error_name) == (503, "server_draining")
        assert answer.field("Retry-After")
        assert not store.received
