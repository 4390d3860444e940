"""Keys and connections that go while a request waits: it was allowed when it came and must not be sent any more."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.server.routes import KeyGrant
from tests.kit.asking import request
from tests.kit.cluster import CLIENT_KEY, Cluster, Link, loopback_store
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.until import until

GRANT = KeyGrant("key-1", hashlib.sha256(CLIENT_KEY.encode()).digest(), None)


def revoke(cluster: Cluster) -> None:
    cluster.table.replace([link.route(cluster.mode) for link in cluster.links], [])


def delete(cluster: Cluster) -> None:
    cluster.table.replace([], [GRANT])


def change_api_key(cluster: Cluster) -> None:
    cluster.set_links([replace(link, api_key="B" * 32) for link in cluster.links])


def change_nothing(cluster: Cluster) -> None:
    cluster.set_links([replace(link) for link in cluster.links])


CASES = [
    pytest.param(revoke, 401, "client_key_invalid", id="key revoked"),
    pytest.param(delete, 401, "client_key_invalid", id="connection deleted"),
    pytest.param(change_api_key, 403, "connection_disabled", id="connection edited"),
    pytest.param(change_nothing, 200, "", id="the same values again"),
]


@pytest.mark.parametrize(("change", "status", "name"), CASES)
async def test_while_it_waits_for_a_tunnel(
    store: ScriptedStore, change: Callable[[Cluster], None], status: int, name: str
) -> None:
    async with Cluster([Link("lyon", loopback_store(store.port))], agents=0) as cluster, cluster.client() as client:
        links = cluster.links
        await client.send(request(method=b"DELETE"))
        await until(lambda: cluster.gateway.context.upstreams.parked_count == 1)
        change(cluster)
        cluster.agents = 1
        cluster.start_agent(links)
        answer = await client.answer()
        assert (answer.status, answer.error_name) == (status, name)
        assert len(store.requests) == (status == 200)
        assert [record.status for record in cluster.records] == [status]


@pytest.mark.parametrize(("change", "status", "name"), CASES)
async def test_while_it_waits_for_its_turn(
    store: ScriptedStore, change: Callable[[Cluster], None], status: int, name: str
) -> None:
    go = asyncio.Event()

    async def script(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await go.wait()
        return ok()

    store.script = script
    link = Link("lyon", loopback_store(store.port), concurrency=1)
    async with Cluster([link], mode="cloud") as cluster, cluster.client() as first, cluster.client() as second:
        await first.send(request())
        await store.wait_for_requests(1)
        await second.send(request(method=b"DELETE"))
        await until(lambda: cluster.gateway.context.active == 2)
        change(cluster)
        go.set()
        assert (await first.answer()).status == 200, "what was sent is answered"
        answer = await second.answer()
        assert (answer.status, answer.error_name) == (status, name)
        assert len(store.requests) == 1 + (status == 200)
        if status == 403:
            third = await second.ask(request())
            assert third.status == 200, "the connection goes on, with its new values"
