"""Settings of one connection at work in the gateway: headers, response time-out, CA, and no verification."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.server.gateway_context import GatewayLimits
from tests.kit.asking import KEY, request
from tests.kit.certificates import CertificateAuthority
from tests.kit.cluster import CLIENT_KEY, Cluster, Link, Mode, loopback_store
from tests.kit.raw_client import RawAnswer
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest

SHORT_S = 0.3


def set_up(cluster: Cluster, **settings: Any) -> None:
    """Give the one connection of ``cluster`` these settings, as an edit does while the gateway runs."""
    found = cluster.table.find(b"lyon", CLIENT_KEY.encode(), 0.0)
    assert found is not None
    route, grant = found
    cluster.table.replace([replace(route, **settings)], [grant])


async def asked(cluster: Cluster, fields: bytes = KEY) -> RawAnswer:
    async with cluster.client() as client:
        return await client.ask(request(b"/lyon/api/products", fields))


async def silent(request: StoreRequest, connection: StoreConnection) -> bytes | None:
    await asyncio.Event().wait()
    return None


def field_lines(store: ScriptedStore, name: bytes) -> list[bytes]:
    """The lines of that field in the last request, in whatever case."""
    lines = store.requests[-1].raw_head.split(b"\r\n")
    return [line for line in lines if line.lower().startswith(name.lower() + b":")]


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
async def test_a_header_goes_along_and_no_client_overrides_it(store: ScriptedStore, mode: Mode) -> None:
    async with Cluster([Link("lyon", loopback_store(store.port))], mode=mode) as cluster:
        set_up(cluster, headers=(("Accept-Language", "fr"),))
        assert (await asked(cluster, KEY + b"accept-LANGUAGE: de\r\nAccept-Language: en\r\n")).status == 200
        assert field_lines(store, b"Accept-Language") == [b"Accept-Language: fr"]
        set_up(cluster, headers=())
        assert (await asked(cluster, KEY + b"Accept-Language: en\r\n")).status == 200
        assert field_lines(store, b"Accept-Language") == [b"Accept-Language: en"]


@pytest.mark.parametrize(("mode", "arrives"), [("cloud", True), ("tunnel", False)])
async def test_another_header_needs_the_agents_leave(store: ScriptedStore, mode: Mode, arrives: bool) -> None:
    async with Cluster([Link("lyon", loopback_store(store.port))], mode=mode) as cluster:
        set_up(cluster, headers=(("X-Channel", "erp"),))
        assert (await asked(cluster, KEY + b"X-Channel: forged\r\nX-Other: 1\r\n")).status == 200
        assert field_lines(store, b"X-Channel") == ([b"X-Channel: erp"] if arrives else [])
        assert field_lines(store, b"X-Other") == []


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
async def test_a_silent_store_is_given_up_after_the_connections_own_time(mode: Mode) -> None:
    async with (
        ScriptedStore(silent) as store,
        Cluster([Link("lyon", loopback_store(store.port))], mode=mode) as cluster,
    ):
        set_up(cluster, response_timeout_s=SHORT_S)
        async with asyncio.timeout(10):
            answer = await asked(cluster)
        assert answer.status == 504


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
async def test_a_longer_time_than_the_gateways_own_is_kept(mode: Mode) -> None:
    answer_now = asyncio.Event()

    async def late(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await answer_now.wait()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    limits = GatewayLimits(upstream_silence_s=SHORT_S)
    async with ScriptedStore(late) as store:
        link = Link("lyon", loopback_store(store.port))
        async with Cluster([link], mode=mode, limits=limits) as cluster:
            set_up(cluster, response_timeout_s=60.0)
            asking = asyncio.create_task(asked(cluster))
            await store.wait_for_requests(1)
            done, _ = await asyncio.wait({asking}, timeout=SHORT_S * 3)
            assert not done
            answer_now.set()
            assert (await asking).status == 200


async def test_a_private_ca_opens_its_stores_only_and_only_as_long_as_it_is_set(tmp_path: Path) -> None:
    own, other = CertificateAuthority(tmp_path, "Own"), CertificateAuthority(tmp_path, "Other")
    async with ScriptedStore(tls=own.server_context("127.0.0.1")) as store:
        link = Link("lyon", loopback_store(store.port, scheme="https"))
        async with Cluster([link], mode="cloud") as cluster:
            for settings, status in (
                ({}, 502),
                ({"ca_pem": own.ca_file.read_text()}, 200),
                ({"ca_pem": other.ca_file.read_text()}, 502),
                ({"ca_pem": other.ca_file.read_text() + own.ca_file.read_text()}, 200),
                ({"ca_pem": None}, 502),
                ({"verify_tls": False}, 200),
                ({"verify_tls": True}, 502),
            ):
                set_up(cluster, **settings)
                assert (await asked(cluster)).status == status, settings


async def test_a_ca_does_not_excuse_a_wrong_name(tmp_path: Path) -> None:
    own = CertificateAuthority(tmp_path)
    async with ScriptedStore(tls=own.server_context("shop.example")) as store:
        link = Link("lyon", loopback_store(store.port, scheme="https"))
        async with Cluster([link], mode="cloud") as cluster:
            set_up(cluster, ca_pem=own.ca_file.read_text())
            assert (await asked(cluster)).status == 502
            assert store.requests == []
