"""The gateway in mode Cloud: what of a request reaches the store."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from tests.kit.asking import KEY, STORE_KEY, request
from tests.kit.cluster import CLIENT_KEY, Cluster, Link, loopback_store
from tests.kit.raw_client import RawClient
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok


@pytest.fixture
async def cluster(store: ScriptedStore) -> AsyncIterator[Cluster]:
    async with Cluster([Link("lyon", loopback_store(store.port, base_path="/shop/"))], mode="cloud") as running:
        yield running


async def test_a_request_reaches_the_store_rebuilt(store: ScriptedStore, client: RawClient) -> None:
    fields = KEY + b"X-Request-Id: caller-id-1\r\nUser-Agent: t\r\nCookie: a=b\r\nX-Forwarded-For: 9.9.9.9\r\n"
    answer = await client.ask(request(b"/lyon/api/products?filter%5Bid%5D=[1]", fields))
    assert store.received == (
        b"GET /shop/api/products?filter%5Bid%5D=[1] HTTP/1.1\r\nHost: 127.0.0.1:" + str(store.port).encode() + b"\r\n"
        + STORE_KEY + b"User-Agent: t\r\nX-Request-Id: caller-id-1\r\n\r\n"
    )  # a table to be compared by eye  # fmt: skip
    assert answer.raw == (
        b"HTTP/1.1 200 OK\r\nServer: scripted\r\nContent-Type: text/xml;charset=utf-8\r\nContent-Length: 13\r\n"
        b"X-Request-Id: caller-id-1\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n\r\n"
        b"<prestashop/>"
    )


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (b"", KEY),
        (b"", b"authorization: basic " + base64.b64encode(CLIENT_KEY.encode() + b":ignored") + b"\r\n"),
        (b"", b"Authorization: Bearer " + CLIENT_KEY.encode() + b"\r\n"),
        (b"?ws_key=" + CLIENT_KEY.encode(), b""),
        (b"?ws%5Fkey=" + CLIENT_KEY.encode(), b""),
        (b"?ws.key=" + CLIENT_KEY.encode(), b""),
        (b"?ws_key=" + CLIENT_KEY.encode() + b"&ws_key=" + CLIENT_KEY.encode(), b""),
        (b"?ws_key=wrong", KEY),
        (b"?ws_key=wrong", b"Authorization: Bearer " + CLIENT_KEY.encode() + b"\r\n"),
    ],
)
async def test_every_credential_opens_and_none_travels_on(
    store: ScriptedStore, client: RawClient, target: bytes, fields: bytes
) -> None:
    answer = await client.ask(request(b"/lyon/api/products" + target, fields))
    assert answer.status == 200
    sent = store.requests[0].raw_head
    assert sent.startswith(b"GET /shop/api/products HTTP/1.1\r\n")
    assert sent.count(b"uthorization: ") == 1
    assert STORE_KEY in sent
    assert CLIENT_KEY.encode() not in store.received


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/lyon//api/products", b"/shop/api/products"),
        (b"/lyon/api/", b"/shop/api/"),
        (b"/lyon/api", b"/shop/api"),
        (b"http://gateway/lyon/api/x?y=http://z/", b"/shop/api/x?y=http://z/"),
    ],
)
async def test_spellings_of_the_target(store: ScriptedStore, client: RawClient, target: bytes, expected: bytes) -> None:
    assert (await client.ask(request(target))).status == 200
    assert store.requests[0].raw_head.split(b" ")[1] == expected


async def test_the_shop_in_the_path_goes_into_the_query(store: ScriptedStore) -> None:
    link = Link("lyon", loopback_store(store.port, id_shop="2"))
    async with Cluster([link], mode="cloud") as cluster, cluster.client() as client:
        assert (await client.ask(request(b"/lyon/api/products&id_shop=2"))).status == 200
        assert store.requests[0].raw_head.startswith(b"GET /api/products?id_shop=2 HTTP/1.1\r\n")
        refused = await client.ask(request(b"/lyon/api/products&id_shop=3"))
        assert (refused.status, refused.error_name) == (403, "policy_denied")
        assert len(store.requests) == 1


async def test_head_has_no_body(store: ScriptedStore, client: RawClient) -> None:
    async def to_head(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"x" * 1000)[:-1000]

    store.script = to_head
    answer = await client.ask(request(method=b"HEAD"), to_head=True)
    assert (answer.status, answer.field("Content-Length"), answer.body) == (200, "1000", b"")
    again = await client.ask(request(method=b"HEAD"), to_head=True)
    assert again.status == 200
    assert len(store.connections) == 1
    refused = await client.ask(request(b"/lyon/api/x?url=y", method=b"HEAD"), to_head=True)
    assert (refused.status, refused.error_name) == (403, "policy_denied")


@pytest.mark.parametrize("fields", [b"", b"Connection: keep-alive\r\n"])
async def test_a_client_of_http_1_0_gets_no_chunks_and_a_close(
    store: ScriptedStore, client: RawClient, fields: bytes
) -> None:
    async def chunked(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n3;x\r\n, w\r\n0\r\n\r\n"
        )

    store.script = chunked
    await client.send(request(fields=KEY + fields + b"Expect: 100-continue\r\n", version=b"1.0"))
    raw = await client.rest()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in head
    assert b"Transfer-Encoding" not in head
    assert body == b"hello, w"
    assert b"Expect" not in store.received


async def test_exchanges_one_after_another_on_one_connection(store: ScriptedStore, client: RawClient) -> None:
    for _ in range(3):
        answer = await client.ask(request())
        assert answer.field("Connection") is None
    assert [seen.connection for seen in store.requests] == [0, 0, 0]


async def test_a_client_that_wants_to_close_is_heard(store: ScriptedStore, client: RawClient) -> None:
    answer = await client.ask(request(fields=KEY + b"Connection: close\r\n"))
    assert answer.field("Connection") == "close"
    assert await client.rest() == b""
    assert b"onnection" not in store.received


async def test_three_requests_in_one_segment_are_answered_in_order(store: ScriptedStore, client: RawClient) -> None:
    async def echo(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(seen.raw_head.split(b" ")[1] + seen.body)

    store.script = echo
    await client.send(
        request(b"/lyon/api/a")
        + request(b"/lyon/api/b", method=b"PUT", body=b"BODY")
        + request(b"/lyon/nowhere")
        + b"\r\n"
        + request(b"/lyon/api/c", KEY + b"Transfer-Encoding: chunked\r\n", method=b"PUT")
        + b"3\r\nabc\r\n0\r\n\r\n"
        + request(b"/lyon/api/d")
    )
    bodies = [(await client.answer()).body for _ in range(5)]
    assert bodies[0] == b"/shop/api/a"
    assert bodies[1] == b"/shop/api/bBODY"
    assert b"policy_denied" in bodies[2]
    assert bodies[3] == b"/shop/api/c3\r\nabc\r\n0\r\n\r\n"
    assert bodies[4] == b"/shop/api/d"


async def test_a_body_in_single_bytes_arrives_whole(store: ScriptedStore, client: RawClient) -> None:
    raw = request(method=b"PUT", body=b"0123456789")
    for index in range(len(raw)):
        await client.send(raw[index : index + 1])
        await asyncio.sleep(0)
    assert (await client.answer()).status == 200
    assert store.requests[0].body == b"0123456789"


async def test_a_chunked_upload_keeps_its_framing(store: ScriptedStore, client: RawClient) -> None:
    chunks = b"3;ext=1\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n"
    answer = await client.ask(request(fields=KEY + b"Transfer-Encoding: chunked\r\n", method=b"PUT") + chunks)
    assert answer.status == 200
    assert store.requests[0].body == chunks
    assert b"Transfer-Encoding: chunked\r\n" in store.requests[0].raw_head


async def test_expect_100_continue_passes_through(store: ScriptedStore, client: RawClient) -> None:
    async def careful(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        assert seen.body == b"", "the client waits"
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await connection.reader.readexactly(5)
        return ok(body)

    store.at_head = True
    store.script = careful
    await client.send(request(fields=KEY + b"Content-Length: 5\r\nExpect: 100-continue\r\n", method=b"PUT"))
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"hello")
    answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"hello")
    assert b"Expect: 100-continue\r\n" in store.received


@pytest.mark.parametrize(("target", "status"), [(b"/lyon/api/x?url=y", 403), (b"/nowhere/api", 401)])
async def test_a_refusal_comes_without_100_and_before_the_body(
    store: ScriptedStore, client: RawClient, target: bytes, status: int
) -> None:
    answer = await client.ask(request(target, KEY + b"Content-Length: 5\r\nExpect: 100-continue\r\n", method=b"PUT"))
    assert (answer.status, answer.interim, answer.field("Connection")) == (status, (), "close")
    await client.send(b"hello" + request())
    assert await client.rest() == b""
    assert store.connections == []


async def test_an_early_answer_reaches_a_client_that_is_still_sending(store: ScriptedStore, client: RawClient) -> None:
    async def early(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"

    store.at_head = True
    store.script = early
    await client.send(request(fields=KEY + b"Content-Length: 50000000\r\n", method=b"PUT") + b"x" * 100_000)
    answer = await client.answer()
    assert (answer.status, answer.body) == (413, b"big")
    for _ in range(20):
        await client.send(b"x" * 100_000)
        await asyncio.sleep(0)
    assert await client.rest() == b"", "a clean end: what was still sent has not turned into a reset"
