"""The server's SSH side dies and comes back: what waits is served, what was under way is told the truth."""

from __future__ import annotations

import asyncio

import pytest

from agent.server.gateway_context import GatewayLimits
from agent.tunnel.config import TunnelConfig
from tests.kit.cluster import CLIENT_KEY, FAST_BACKOFF, Cluster, Link, loopback_store
from tests.kit.raw_client import basic
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.until import until

ONE_TUNNEL = TunnelConfig(tunnels=1, backoff=FAST_BACKOFF)
GET = b"GET /shop/api/products HTTP/1.1\r\nHost: gateway\r\n" + basic(CLIENT_KEY) + b"\r\n"


def _write(method: str = "POST") -> bytes:
    head = f"{method} /shop/api/products HTTP/1.1\r\nHost: gateway\r\nContent-Length: 13\r\n"
    return head.encode() + basic(CLIENT_KEY) + b"\r\n<prestashop/>"


class HoldingStore(ScriptedStore):
    """Holds the first ``held`` answers back until ``release``, and answers the others at once."""

    def __init__(self, held: int) -> None:
        super().__init__(self._answer)
        self.held = held
        self.release = asyncio.Event()

    async def _answer(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        if len(self.requests) <= self.held:
            await self.release.wait()
        return ok()

    def count(self, method: bytes) -> int:
        """Requests of this method that arrived whole."""
        return sum(request.raw_head.startswith(method + b" ") for request in self.requests)


async def test_a_request_parked_while_the_server_is_away_is_served_when_it_comes_back() -> None:
    async with ScriptedStore() as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links) as cluster, cluster.client() as reader, cluster.client() as writer:
            assert (await reader.ask(GET)).status == 200
            cluster.kill_endpoint()
            await cluster.wait_tunnels(0)
            await reader.send(GET)
            await writer.send(_write())
            await until(lambda: cluster.gateway.context.upstreams.parked_count == 2)
            assert len(store.requests) == 1
            await cluster.start_endpoint()
            answers = await asyncio.gather(reader.answer(), writer.answer())
            assert [answer.status for answer in answers] == [200, 200]
            assert len(store.requests) == 3
            await cluster.wait_tunnels(2)


async def test_nobody_waits_longer_than_the_limit() -> None:
    limits = GatewayLimits(park_s=0.2)
    async with ScriptedStore() as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links, limits=limits) as cluster, cluster.client() as client:
            cluster.kill_endpoint()
            await cluster.wait_tunnels(0)
            answer = await client.ask(GET)
            assert (answer.status, answer.error_name) == (503, "agent_offline")
            assert answer.field("Retry-After")
            assert not store.received


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_in_flight_is_not_repeated_and_its_outcome_is_unknown(method: str) -> None:
    async with HoldingStore(held=1) as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links) as cluster, cluster.client() as client:
            await client.send(_write(method))
            await store.wait_for_requests(1)
            cluster.cut_tunnels()
            answer = await client.answer()
            assert (answer.status, answer.error_name) == (502, "tunnel_lost")
            assert b"outcome: unknown" in answer.body
            await cluster.wait_tunnels(2)
            assert (await client.ask(GET)).status == 200
            assert store.count(method.encode()) == 1, "it was executed exactly once"


async def test_a_read_in_flight_is_asked_again() -> None:
    async with HoldingStore(held=1) as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links) as cluster, cluster.client() as client:
            await client.send(GET)
            await store.wait_for_requests(1)
            cluster.cut_tunnels()
            assert (await client.answer()).status == 200
            assert len(store.requests) == 2


async def test_a_request_whose_override_makes_it_a_write_counts_as_one() -> None:
    """``POST api/images/...?ps_method=PUT`` is the one override that passes."""
    async with HoldingStore(held=1) as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links) as cluster, cluster.client() as client:
            await client.send(_write().replace(b"/api/products", b"/api/images/products/1/2?ps_method=PUT"))
            await store.wait_for_requests(1)
            cluster.cut_tunnels()
            answer = await client.answer()
            assert answer.error_name == "tunnel_lost"
            assert store.count(b"POST") == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_an_answer_cut_short_ends_in_a_reset_and_never_in_a_clean_close(framing: bytes) -> None:
    async def half(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        body = b"a\r\n0123456789\r\n" if b"chunked" in framing else b"0123456789"
        await connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + body)
        await asyncio.Event().wait()
        return None

    async with ScriptedStore(half) as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links) as cluster, cluster.client() as client:
            await client.send(GET)
            await client.reader.readuntil(b"0123456789")
            cluster.cut_tunnels()
            with pytest.raises(ConnectionResetError):
                await client.rest()
            assert len(store.requests) == 1, "what has been answered in part is not asked again"


async def test_the_second_tunnel_takes_over_at_once() -> None:
    async with ScriptedStore() as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links) as cluster, cluster.client() as client:
            first, second = cluster.tunnels
            first.disconnect(11, "test")
            assert (await client.ask(GET)).status == 200
            assert second in cluster.tunnels


async def test_an_agent_that_dies_is_told_from_a_store_that_does() -> None:
    async def reset(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        connection.reset()
        return None

    async with HoldingStore(held=1) as store, ScriptedStore(reset) as dying:
        links = [Link("shop", loopback_store(store.port)), Link("dying", loopback_store(dying.port))]
        limits = GatewayLimits(park_s=0.2)
        async with Cluster(links, limits=limits, tunnel=ONE_TUNNEL) as cluster, cluster.client() as client:
            by_agent = await client.ask(_write().replace(b"/shop/", b"/dying/"))
            await client.send(_write())
            await store.wait_for_requests(1)
            await cluster.running[0].stop()
            by_gateway = await client.answer()
            assert (by_agent.error_name, by_gateway.error_name) == ("store_bad_response", "tunnel_lost")
            assert b"outcome: unknown" in by_agent.body
            assert (by_agent.field("Proxy-Status") or "").startswith("prestashop-agent;")
            assert (by_gateway.field("Proxy-Status") or "").startswith("integration-server;")
            assert len(dying.requests) == 1
            assert (await client.ask(GET)).error_name == "agent_offline"
