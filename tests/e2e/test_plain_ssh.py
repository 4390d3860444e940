"""A stock ``ssh -N -R`` as the agent of one http store: an emergency measure, and a proof of the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.kit.cluster import API_KEY, CLIENT_KEY, Cluster, Link, loopback_store
from tests.kit.raw_client import basic
from tests.kit.scripted_store import ScriptedStore
from tests.kit.stock_ssh import stock_ssh


def _request(method: str, slug: str, body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\nContent-Type: application/xml\r\n" if body else ""
    head = f"{method} /{slug}/api/products?limit=1 HTTP/1.1\r\nHost: gateway\r\n{length}"
    return head.encode() + basic(CLIENT_KEY) + b"\r\n" + body


async def test_reads_and_writes_pass_and_no_other_store_is_served(tmp_path: Path) -> None:
    async with ScriptedStore() as shop, ScriptedStore() as other:
        store = loopback_store(shop.port)
        links = [Link("shop", store), Link("other", loopback_store(other.port))]
        async with Cluster(links, plain_store=store) as cluster, stock_ssh(cluster, shop.port, tmp_path):
            await cluster.wait_tunnels(1)
            assert [tunnel.plain for tunnel in cluster.tunnels] == [True]
            async with cluster.client() as client:
                read = await client.ask(_request("GET", "shop"))
                written = await client.ask(_request("POST", "shop", b"<prestashop/>"))
                refused = await client.ask(_request("GET", "other"))
                again = await client.ask(_request("GET", "shop"))
        assert (read.status, written.status, again.status) == (200, 200, 200)
        assert refused.error_name == "policy_denied"
        assert b"agent is connected" in refused.body
        assert not other.received
        first, second, _ = shop.requests
        assert first.raw_head.startswith(b"GET /api/products?limit=1 HTTP/1.1\r\nHost: " + store.authority.encode())
        assert basic(API_KEY) in first.raw_head, "the store gets its own key, not the client's"
        assert second.raw_head.startswith(b"POST /api/products?limit=1 HTTP/1.1\r\n")
        assert b"Content-Type: text/xml\r\n" in second.raw_head
        assert second.body == b"<prestashop/>"


async def test_an_agent_record_for_prestashop_agent_refuses_stock_ssh(tmp_path: Path) -> None:
    async with ScriptedStore() as shop:
        links = [Link("shop", loopback_store(shop.port))]
        async with Cluster(links, agents=0) as cluster:
            async with stock_ssh(cluster, shop.port, tmp_path) as process, asyncio.timeout(20):
                assert await process.wait() == 255
            assert not cluster.tunnels
            assert not shop.connections
