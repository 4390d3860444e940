"""The gateway's ways to a store: kept connections, and stores that cannot be reached."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.forward.target import ForwardTimeouts
from agent.server.cloud import CloudForwarder
from agent.server.gateway_context import GatewayContext
from agent.store_url import Store
from tests.kit.asking import request
from tests.kit.certificates import CertificateAuthority
from tests.kit.cluster import LOOPBACK, Cluster, Link, Mode, loopback_store
from tests.kit.raw_client import RawAnswer, RawClient
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok

UNIT_S = 0.1
QUICK = ForwardTimeouts(connect_s=1.0, tls_s=1.0, first_byte_s=3 * UNIT_S, stall_s=3 * UNIT_S)
PUT = request(method=b"PUT", body=b"<x/>")


@pytest.fixture(params=["cloud", "tunnel"])
async def cluster(store: ScriptedStore, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    mode: Mode = request.param
    async with Cluster([Link("lyon", loopback_store(store.port))], mode=mode, timeouts=QUICK) as running:
        yield running


def failed(answer: RawAnswer, status: int, name: str) -> None:
    assert (answer.status, answer.error_name) == (status, name)


# -- connections that are kept ---------------------------------------------------------------------------------------


async def stale_store(store: ScriptedStore) -> None:
    """From its second request on a connection the store resets without an answer, as after its keep-alive."""

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        if seen.sequence > 0:
            connection.reset()
            return None
        return ok()

    store.script = script


async def test_a_read_that_met_a_closing_connection_is_sent_again_once(
    store: ScriptedStore, cluster: Cluster, client: RawClient
) -> None:
    await stale_store(store)
    assert (await client.ask(request())).status == 200
    assert (await client.ask(request())).status == 200
    assert [(seen.connection, seen.sequence) for seen in store.requests] == [(0, 0), (0, 1), (1, 0)]


async def test_a_read_is_not_sent_a_third_time(store: ScriptedStore, client: RawClient) -> None:
    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        if len(store.requests) > 1:
            connection.reset()
            return None
        return ok()

    store.script = script
    assert (await client.ask(request())).status == 200
    failed(await client.ask(request()), 502, "store_bad_response")
    assert len(store.requests) == 3


async def test_a_write_that_met_a_closing_connection_is_never_sent_again(
    store: ScriptedStore, client: RawClient
) -> None:
    await stale_store(store)
    assert (await client.ask(request())).status == 200
    answer = await client.ask(PUT)
    failed(answer, 502, "store_bad_response")
    assert b"outcome: unknown" in answer.body
    assert len(store.requests) == 2
    # A body-less write is no read either, nor is a read with a body.
    assert (await client.ask(request())).status == 200
    failed(await client.ask(request(method=b"DELETE")), 502, "store_bad_response")
    assert (await client.ask(request())).status == 200
    failed(await client.ask(request(body=b"x")), 502, "store_bad_response")
    assert len(store.requests) == 6


async def test_a_write_takes_a_fresh_connection_when_the_kept_one_was_idle_for_long(store: ScriptedStore) -> None:
    await stale_store(store)
    async with Cluster([Link("lyon", loopback_store(store.port))], mode="cloud") as cluster, cluster.client() as client:
        assert (await client.ask(request())).status == 200
        await asyncio.sleep(3.1)  # the real WRITE_IDLE_MAX_S; the pool's own test has a clock
        assert (await client.ask(PUT)).status == 200
    assert [seen.connection for seen in store.requests] == [0, 1]


async def test_a_store_that_closes_after_each_answer(store: ScriptedStore, client: RawClient) -> None:
    async def closing(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(ok(extra=b"Connection: close\r\n"))
        connection.writer.close()
        return None

    store.script = closing
    for raw in (request(), PUT, request(), PUT):
        answer = await client.ask(raw)
        assert (answer.status, answer.field("Connection")) == (200, None)
    assert [seen.connection for seen in store.requests] == [0, 1, 2, 3]


# -- no way to the store ---------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
async def test_a_store_that_is_not_there(mode: Mode) -> None:
    links = [
        Link("lyon", loopback_store(free_port())),
        Link("paris", Store("http", "no-such-shop.invalid", 80, "/")),
    ]
    async with Cluster(links, mode=mode, timeouts=QUICK) as cluster, cluster.client() as client:
        for raw, kind in (
            (request(), "connection_refused"),
            (PUT, "connection_refused"),
            (request(b"/paris/api"), "dns_error"),
        ):
            answer = await client.ask(raw)
            failed(answer, 502, "store_unreachable")
            assert f"error={kind};" in (answer.field("Proxy-Status") or "")
            assert b"outcome" not in answer.body, "nothing was sent"


async def test_cloud_does_not_dial_private_addresses_that_are_not_listed(store: ScriptedStore) -> None:
    class Public(Cluster):
        """Mode Cloud as it is without ``allow_private_origins``."""

        def _cloud(self, context: GatewayContext) -> CloudForwarder:
            forwarder = super()._cloud(context)
            forwarder._allowed = ()
            return forwarder

    async with Public([Link("lyon", loopback_store(store.port))], mode="cloud") as cluster, cluster.client() as client:
        answer = await client.ask(request())
        failed(answer, 502, "store_unreachable")
        assert "error=destination_ip_prohibited;" in (answer.field("Proxy-Status") or "")
        assert store.connections == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize(
    ("names", "expired", "trusted", "works"),
    [
        ((LOOPBACK,), False, True, True),
        ((LOOPBACK,), False, False, False),
        (("other.example",), False, True, False),
        ((LOOPBACK,), True, True, False),
    ],
    ids=["good", "unknown CA", "wrong name", "expired"],
)
async def test_the_stores_certificate(
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    names: tuple[str, ...],
    expired: bool,
    trusted: bool,
    works: bool,
) -> None:
    trust = authority if trusted else CertificateAuthority(tmp_path, "Another CA")
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.ca_file))
    async with ScriptedStore(tls=authority.server_context(*names, expired=expired)) as store:
        link = Link("lyon", loopback_store(store.port, scheme="https"))
        async with Cluster([link], mode="cloud", timeouts=QUICK) as cluster, cluster.client() as client:
            answer = await client.ask(PUT)
            if works:
                assert answer.status == 200
                return
            failed(answer, 502, "store_tls_failed")
            assert "error=tls_certificate_error;" in (answer.field("Proxy-Status") or "")
            assert b"outcome" not in answer.body
            assert store.received == b""
