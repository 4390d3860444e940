"""The gateway's limits towards clients: what is not HTTP, what is too large, what is too slow."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.errors import StartError
from agent.server.gateway_context import GatewayLimits
from tests.kit.asking import KEY, request
from tests.kit.certificates import CertificateAuthority
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.raw_client import RawClient
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok

UNIT_S = 0.1
QUICK = GatewayLimits(
    client_head_s=2 * UNIT_S, client_stall_s=2 * UNIT_S, client_idle_s=2 * UNIT_S, body_max_bytes=1000
)


@pytest.fixture
async def cluster(store: ScriptedStore) -> AsyncIterator[Cluster]:
    async with Cluster([Link("lyon", loopback_store(store.port))], mode="cloud", limits=QUICK) as running:
        yield running


async def until_closed(client: RawClient) -> None:
    """Until the server's FIN; a RST is an error."""
    assert await client.rest() == b""


BAD = {
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01hello\r\n\r\n", 400, "bad_request"),
    "bare LF": (b"GET /lyon/api HTTP/1.1\nHost: x\n\n", 400, "bad_request"),
    "no Host": (b"GET /lyon/api HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "two Hosts": (request(fields=KEY + b"Host: y\r\n"), 400, "bad_request"),
    "obs-fold": (request(fields=KEY + b"X: a\r\n b\r\n"), 400, "bad_request"),
    "blank before the colon": (request(fields=KEY + b"X : a\r\n"), 400, "bad_request"),
    "NUL": (request(fields=KEY + b"X: a\0b\r\n"), 400, "bad_request"),
    "CL and TE": (request(fields=KEY + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, "bad_request"),
    "two CLs": (request(fields=KEY + b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400, "bad_request"),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "CONNECT": (b"CONNECT shop.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"),
    "long line": (b"GET /" + b"a" * 9000, 414, "target_too_long"),
    "long head": (b"GET / HTTP/1.1\r\nX: " + b"a" * 66_000, 431, "head_too_large"),
    "bad chunk": (
        request(fields=KEY + b"Transfer-Encoding: chunked\r\n", method=b"PUT") + b"xyz\r\n",
        400,
        "bad_request",
    ),
    "trailer": (
        request(fields=KEY + b"Transfer-Encoding: chunked\r\n", method=b"PUT") + b"0\r\nX: y\r\n\r\n",
        400,
        "bad_request",
    ),
    "body too large": (request(fields=KEY + b"Content-Length: 1001\r\n", method=b"PUT"), 413, "body_too_large"),
    "chunks too large": (
        request(fields=KEY + b"Transfer-Encoding: chunked\r\n", method=b"PUT") + b"3e8\r\n" + b"x" * 1000,
        413,
        "body_too_large",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_is_wrong_is_answered_and_closed(case: str, cluster: Cluster, client: RawClient) -> None:
    raw, status, name = BAD[case]
    answer = await client.ask(raw)
    assert (answer.status, answer.error_name, answer.field("Connection")) == (status, name, "close")
    await client.send(request())  # not heard
    await until_closed(client)
    assert [(record.error, record.status) for record in cluster.records] == [(name, status)]
    request_id = answer.field("X-Request-Id")
    assert request_id is not None
    assert cluster.records[0].request_id == request_id
    async with cluster.client() as other:
        assert (await other.ask(request())).status == 200


async def test_a_body_at_the_limit_passes(store: ScriptedStore, client: RawClient) -> None:
    assert (await client.ask(request(method=b"PUT", body=b"x" * 1000))).status == 200
    assert len(store.requests[0].body) == 1000


async def test_413_comes_before_the_body_and_no_byte_of_it_is_sent(store: ScriptedStore, client: RawClient) -> None:
    answer = await client.ask(request(fields=KEY + b"Content-Length: 5000000\r\n", method=b"PUT"))
    assert answer.status == 413
    assert store.connections == []


async def test_a_slow_head_ends_with_408(client: RawClient) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await client.send(b"GET /lyon/api HTTP/1.1\r\n")

    async def drip() -> None:
        while True:  # every byte in time, the whole never
            await client.send(b"X: y\r\n")
            await asyncio.sleep(UNIT_S / 4)

    dripping = asyncio.ensure_future(drip())
    answer = await client.answer()
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    assert (answer.status, answer.error_name) == (408, "client_timeout")
    assert loop.time() - began < 20 * UNIT_S


async def test_a_slow_body_ends_with_408(store: ScriptedStore, cluster: Cluster, client: RawClient) -> None:
    await client.send(request(fields=KEY + b"Content-Length: 10\r\n", method=b"PUT") + b"he")
    answer = await client.answer()
    assert (answer.status, answer.error_name) == (408, "client_timeout")
    await until_closed(client)
    assert store.requests == []
    assert cluster.records[-1].error == "client_timeout"


async def test_an_idle_connection_is_closed_without_a_word(client: RawClient) -> None:
    await until_closed(client)


async def test_a_connection_that_was_used_is_closed_when_it_idles(client: RawClient) -> None:
    assert (await client.ask(request())).status == 200
    await until_closed(client)


async def test_a_waiting_client_is_not_idle(store: ScriptedStore, client: RawClient) -> None:
    async def slow(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await asyncio.sleep(4 * UNIT_S)
        return ok()

    store.script = slow
    assert (await client.ask(request())).status == 200


async def test_draining_ends_idle_connections_and_lets_exchanges_finish(store: ScriptedStore, cluster: Cluster) -> None:
    go = asyncio.Event()

    async def held(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await go.wait()
        return ok()

    store.script = held
    async with cluster.client() as idle, cluster.client() as busy:
        await busy.send(request())
        await store.wait_for_requests(1)
        draining = asyncio.ensure_future(cluster.gateway.drain(10))
        await asyncio.sleep(0)  # into its waiting
        go.set()
        answer = await busy.answer()
        assert (answer.status, answer.field("Connection")) == (200, "close")
        assert await busy.rest() == b""
        assert await idle.rest() == b""
        assert await draining


async def test_what_does_not_finish_in_time_is_ended(store: ScriptedStore, cluster: Cluster) -> None:
    gone = asyncio.Event()

    async def held(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.until_gone()
        gone.set()
        return None

    store.script = held
    async with cluster.client() as busy:
        await busy.send(request())
        await store.wait_for_requests(1)
        assert not await cluster.gateway.drain(UNIT_S)
        await cluster.gateway.close()
        await asyncio.wait_for(gone.wait(), 5)
        with pytest.raises(ConnectionError):
            await busy.answer()


async def test_a_listener_with_tls(store: ScriptedStore, cluster: Cluster, tmp_path: Path) -> None:
    """The same over TLS, where no half-close exists: a refused body ends with a whole answer, too."""
    authority = CertificateAuthority(tmp_path)
    await cluster.gateway.start("127.0.0.1", 0, authority.server_context("127.0.0.1"))
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    port = int(cluster.gateway._servers[-1].sockets[0].getsockname()[1])
    async with RawClient(port, tls=trust) as client:
        assert (await client.ask(request())).status == 200
        assert (await client.ask(request(method=b"PUT", body=b"x" * 1000))).status == 200
        await client.send(request(fields=KEY + b"Content-Length: 5000000\r\n", method=b"PUT") + b"x" * 10_000)
        assert (await client.answer()).status == 413

    async def broken(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        connection.reset()
        return None

    store.script = broken
    async with RawClient(port, tls=trust) as client:
        await client.send(request())
        with pytest.raises(ConnectionError):
            await client.answer()


async def test_a_port_in_use_is_a_start_error(cluster: Cluster) -> None:
    with pytest.raises(StartError, match=r"cannot listen on 127\.0\.0\.1"):
        await cluster.gateway.start("127.0.0.1", cluster.port)
