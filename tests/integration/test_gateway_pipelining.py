"""Requests that are sent before the answers to earlier ones were read: each has its answer, none costs the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from agent.server.client import ClientConnection
from tests.kit.asking import KEY, request
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.raw_client import RawClient
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.small_buffers import shrink_send_buffers, small_buffer_client
from tests.kit.until import until

UNKNOWN = b"GET /x HTTP/1.1\r\nHost:\r\n\r\n"
BOUND_BYTES = 600_000  # two reads of 256 KiB and what is kept before reading stops


@pytest.fixture
async def cluster(store: ScriptedStore) -> AsyncIterator[Cluster]:
    async with Cluster([Link("lyon", loopback_store(store.port))], mode="cloud") as running:
        shrink_send_buffers(running.gateway)
        yield running


def connection_of(cluster: Cluster) -> ClientConnection:
    (connection,) = cluster.gateway._clients
    return connection


async def send_until_full(sock: socket.socket, data: bytes, rounds: int) -> int:
    """Send as long as it is taken; returns the bytes that were."""
    loop = asyncio.get_running_loop()
    sent = 0
    with contextlib.suppress(TimeoutError):
        for _ in range(rounds):
            async with asyncio.timeout(0.5):
                await loop.sock_sendall(sock, data)
            sent += len(data)
    return sent


async def test_refusals_that_nobody_reads_are_not_heaped_up(cluster: Cluster) -> None:
    """No key is needed for this: what is unsent and what is unheard must both have a bound."""
    with small_buffer_client(cluster.port) as flooder:
        await until(lambda: bool(cluster.gateway._clients))
        connection = connection_of(cluster)
        asked = 27_000_000
        sent = await send_until_full(flooder, UNKNOWN * 1000, asked // 27_000)
        assert connection._full
        assert connection._transport.get_write_buffer_size() < 200_000
        assert len(connection._ahead) < BOUND_BYTES
        assert sent < asked, "the rest waits in the client"
        answered = len(cluster.records)
        async with cluster.client() as other:
            assert (await other.ask(request())).status == 200
        assert len(cluster.records) <= answered + 2, "no further refusal while the first are unread"


async def test_a_flood_in_large_pieces_keeps_its_bound_while_it_is_answered(cluster: Cluster) -> None:
    """The answers are read, so that only reading ahead could grow."""
    async with cluster.client() as flooder:
        flooder.writer.write(UNKNOWN * 100_000)
        reading = asyncio.ensure_future(flooder.reader.readexactly(1_000_000))
        await until(lambda: bool(cluster.records))
        connection = connection_of(cluster)
        most = 0
        while not reading.done():
            most = max(most, len(connection._ahead))
            await asyncio.sleep(0)
        assert 65_536 < most < BOUND_BYTES
        await reading


async def test_what_waited_goes_on_when_the_answers_are_read(cluster: Cluster, store: ScriptedStore) -> None:
    count = 4000
    with small_buffer_client(cluster.port) as late:
        sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(late, UNKNOWN * count + request()))
        await until(lambda: bool(cluster.gateway._clients) and connection_of(cluster)._full)
        seen = b""
        async with asyncio.timeout(30):
            while b"<prestashop/>" not in seen:
                seen = seen[-100:] + await asyncio.get_running_loop().sock_recv(late, 65536)
        await sending
    assert [record.status for record in cluster.records] == [401] * count + [200]


@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_bodies_and_requests_in_one_go(store: ScriptedStore, client: RawClient, coding: str) -> None:
    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"%d" % len(seen.body))

    store.script = script
    body = b"y" * 100_000
    if coding == "length":
        write = request(method=b"PUT", body=body)
        size = len(body)
    else:
        coded = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        write = request(fields=KEY + b"Transfer-Encoding: chunked\r\n", method=b"PUT") + coded
        size = len(coded)
    client.writer.write((b"\r\n" + write + request()) * 8)
    for _ in range(8):
        assert (await client.answer()).body == b"%d" % size
        assert (await client.answer()).body == b"0"
