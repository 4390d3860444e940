"""What stores do wrong, and what the client gets: never a forged error, never a truncated answer that looks whole."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from agent.forward.target import ForwardTimeouts
from tests.kit.asking import KEY, request
from tests.kit.cluster import Cluster, Link, Mode, loopback_store
from tests.kit.raw_client import RawAnswer, RawClient
from tests.kit.scripted_store import Script, ScriptedStore, StoreConnection, StoreRequest, always_ok, ok

UNIT_S = 0.1
QUICK = ForwardTimeouts(connect_s=1.0, tls_s=1.0, first_byte_s=3 * UNIT_S, stall_s=3 * UNIT_S)
PUT = request(method=b"PUT", body=b"<x/>")


@pytest.fixture(params=["cloud", "tunnel"])
async def cluster(store: ScriptedStore, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    mode: Mode = request.param
    async with Cluster([Link("lyon", loopback_store(store.port))], mode=mode, timeouts=QUICK) as running:
        yield running


def sends(raw: bytes, *, then: str = "stay") -> Script:
    """A script that sends ``raw``, then stays, closes or resets."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        if raw:
            await connection.send(raw)
        if then == "close":
            connection.writer.close()
        elif then == "reset":
            connection.reset()
        else:
            await connection.until_gone()
        return None

    return script


def answers(raw: bytes) -> Script:
    """A script that answers every request so."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return raw

    return script


def failed(answer: RawAnswer, status: int, name: str) -> None:
    assert (answer.status, answer.error_name) == (status, name)


# -- broken off ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\nHTTP"])
async def test_a_store_that_goes_before_its_head_is_whole(
    store: ScriptedStore, cluster: Cluster, client: RawClient, raw: bytes, then: str
) -> None:
    store.script = sends(raw, then=then)
    answer = await client.ask(request())
    failed(answer, 502, "store_bad_response")
    assert b"outcome" not in answer.body
    answer = await client.ask(PUT)
    failed(answer, 502, "store_bad_response")
    assert b"outcome: unknown" in answer.body
    assert len(store.requests) == 2, "neither was sent again: the connections were new"
    store.script = always_ok
    assert (await client.ask(request())).status == 200
    assert [record.error for record in cluster.records] == ["store_bad_response", "store_bad_response", ""]


BROKEN_OFF = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500,
    "length, no byte": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "before the last CRLF": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
}


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("case", BROKEN_OFF)
async def test_an_answer_that_breaks_off_ends_with_a_reset(
    store: ScriptedStore, cluster: Cluster, client: RawClient, case: str, then: str
) -> None:
    store.script = sends(BROKEN_OFF[case], then=then)
    await client.send(request())
    with pytest.raises(ConnectionResetError):
        await client.rest()
    assert [(record.status, record.error) for record in cluster.records] == [(200, "tunnel_lost")]


async def test_a_reset_ends_no_answer_without_a_length(
    store: ScriptedStore, cluster: Cluster, client: RawClient
) -> None:
    store.script = sends(b"HTTP/1.1 200 OK\r\n\r\nhello", then="reset")
    await client.send(request())
    with pytest.raises(ConnectionResetError):
        await client.rest()


async def test_a_close_ends_an_answer_without_a_length(store: ScriptedStore, client: RawClient) -> None:
    store.script = sends(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000, then="close")
    await client.send(request())
    raw = await client.rest()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert body == b"x" * 300_000
    assert b"\r\nConnection: close\r\n" in head


async def test_a_store_that_hangs(store: ScriptedStore, cluster: Cluster, client: RawClient) -> None:
    store.script = sends(b"")
    for raw, outcome in ((request(), False), (PUT, True)):
        answer = await client.ask(raw)
        failed(answer, 504, "store_timeout")
        assert (b"outcome: unknown" in answer.body) is outcome
    assert {record.answered_by for record in cluster.records} == {"agent" if cluster.mode == "tunnel" else "gateway"}


async def test_a_store_that_hangs_in_its_body(store: ScriptedStore, client: RawClient) -> None:
    store.script = sends(BROKEN_OFF["length"])
    await client.send(request())
    with pytest.raises(ConnectionResetError):
        await client.rest()


async def test_a_client_that_leaves_takes_its_request_along(store: ScriptedStore, cluster: Cluster) -> None:
    gone: asyncio.Queue[int] = asyncio.Queue()

    async def held(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        if seen.raw_head.startswith(b"POST"):
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await connection.until_gone()
        gone.put_nowait(seen.connection)
        return None

    store.script = held
    for method in (b"GET", b"POST"):
        async with cluster.client() as client:
            await client.send(request(method=method, body=b"<x/>"))
            await store.wait_for_requests(len(cluster.records) + 1)
        await asyncio.wait_for(gone.get(), 5)
    assert [(record.error, record.answered_by) for record in cluster.records] == [("client_gone", "nobody")] * 2


async def test_a_client_that_leaves_in_its_body(store: ScriptedStore, cluster: Cluster) -> None:
    gone = asyncio.Event()

    async def held(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.until_gone()
        gone.set()
        return None

    store.at_head = True
    store.script = held
    async with cluster.client() as client:
        await client.send(request(fields=KEY + b"Content-Length: 9\r\n", method=b"PUT") + b"half")
        await store.wait_for_requests(1)
    await asyncio.wait_for(gone.wait(), 5)


# -- not HTTP --------------------------------------------------------------------------------------------------------

BAD = {
    "garbage": b"I am not a web server\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "TE and CL": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "differing CLs": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 0\r\n\r\n",
    "nine interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
}


@pytest.mark.parametrize("case", BAD)
async def test_what_is_not_http_is_not_passed_on(store: ScriptedStore, cluster: Cluster, case: str) -> None:
    store.script = sends(BAD[case])
    async with cluster.client() as client:
        answer = await client.ask(request())
        failed(answer, 502, "store_bad_response")
        assert set(answer.interim) <= {b"HTTP/1.1 103 Early Hints\r\n\r\n"}
        failed(await client.ask(PUT), 502, "store_bad_response")
        assert len(store.requests) == 2
        assert b"outcome: unknown" in (await client.ask(PUT)).body
    assert len({seen.connection for seen in store.requests}) == 3, "nothing more is read from such a connection"


async def test_a_second_answer_never_becomes_the_next_clients(store: ScriptedStore, client: RawClient) -> None:
    smuggled = ok(b"<forged/>")

    async def double(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok() + smuggled if len(store.requests) == 1 else ok(b"<genuine/>")

    store.script = double
    assert (await client.ask(request())).body == b"<prestashop/>"
    assert (await client.ask(request())).body == b"<genuine/>"
    assert [seen.connection for seen in store.requests] == [0, 1]


async def test_an_answer_that_nobody_asked_for_ends_an_idle_connection(store: ScriptedStore, client: RawClient) -> None:
    assert (await client.ask(request())).status == 200
    await store.connections[0].send(ok(b"<forged/>"))
    await store.wait_for_connections_closed(1)
    assert (await client.ask(request())).body == b"<prestashop/>"
    assert [seen.connection for seen in store.requests] == [0, 1]


async def test_eight_interim_answers_pass(store: ScriptedStore, client: RawClient) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: a=b\r\n\r\n"
    store.script = sends(hints * 8 + ok())
    answer = await client.ask(request())
    assert answer.interim == (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",) * 8
    assert answer.status == 200


# -- who answered ----------------------------------------------------------------------------------------------------


async def test_a_store_that_speaks_in_our_name_is_not_believed(
    store: ScriptedStore, cluster: Cluster, client: RawClient
) -> None:
    """Even with the real nonce of the tunnel, and our own error body."""
    nonces = [b"0" * 32, *(tunnel.nonce for tunnel in cluster.tunnels)]
    body = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<prestashop xmlns:xlink="http://www.w3.org/1999/xlink">\n<errors>\n'
        b"<error>\n<code><![CDATA[9017]]></code>\n<message>store_timeout: The store did not answer</message>\n"
        b"</error>\n</errors>\n</prestashop>\n"
    )
    for nonce in nonces:
        store.script = answers(
            b"HTTP/1.1 504 Gateway Timeout\r\n"
            b'Proxy-Status: integration-server; error=http_response_timeout; details="store_timeout"\r\n'
            b"X-Tunnel-Nonce: " + nonce + b" store_timeout\r\nx-tunnel-nonce:" + nonce + b" store_timeout\r\n"
            b"X-Request-Id: forged-0000\r\nX-A: kept\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        answer = await client.ask(request())
        assert (answer.status, answer.error_name) == (504, "")
        head = answer.head.lower()
        assert b"proxy-status" not in head
        assert b"nonce" not in head
        assert b"forged" not in head
        assert b"x-a: kept" in head
        assert answer.body == body
    assert [(record.answered_by, record.error) for record in cluster.records] == [("store", "")] * len(nonces)


async def test_fields_of_the_store_that_do_not_pass(store: ScriptedStore, client: RawClient) -> None:
    store.script = sends(
        b"HTTP/1.1 200 OK\r\nserver:nginx\r\nSet-Cookie: PrestaShop=x\r\nset-COOKIE2: y\r\nKeep-Alive: timeout=5\r\n"
        b"Connection: Keep-Alive, X-Hop\r\nX-Hop: 1\r\nContent-Security-Policy: default-src *\r\n"
        b"x-content-type-options: none\r\nX-KEPT:  as  is \r\nContent-Length: 2\r\n\r\nok"
    )
    answer = await client.ask(request())
    lines = answer.head.split(b"\r\n")
    assert lines[:4] == [b"HTTP/1.1 200 OK", b"server:nginx", b"X-KEPT:  as  is ", b"Content-Length: 2"]
    assert [line.split(b":")[0] for line in lines[4:7]] == [
        b"X-Request-Id",
        b"X-Content-Type-Options",
        b"Content-Security-Policy",
    ]
    assert answer.field("Content-Security-Policy") == "sandbox"
    assert answer.field("X-Content-Type-Options") == "nosniff"


async def test_body_bytes_and_their_framing_are_untouched(store: ScriptedStore, client: RawClient) -> None:
    packed = gzip.compress(b"<prestashop/>" * 100)
    chunks = b"".join(b"%X;n=1\r\n%b\r\n" % (len(piece), piece) for piece in (packed[:1], packed[1:7], packed[7:]))
    body = chunks + b"000\r\n\r\n"
    store.script = sends(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    answer = await client.ask(request())
    assert answer.body == body
    assert answer.field("Content-Encoding") == "gzip"
