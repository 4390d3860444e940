"""Eight bulk transfers in one tunnel at 20 Mbit/s: small exchanges and heartbeats do not wait behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from agent.server.ssh_config import SshConfig
from agent.tunnel.config import TunnelConfig
from agent.tunnel.token import AccessToken
from tests.kit.cluster import CLIENT_KEY, FAST_BACKOFF, LOOPBACK, Cluster, Link, loopback_store
from tests.kit.paced_relay import PacedRelay
from tests.kit.raw_client import RawClient, basic
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.until import until

BITS_PER_S = 20e6
BULK = 8
SAMPLES = 10
LIMIT_S = 0.6
ENDLESS = 10**12
CHUNK = b"z" * 65536
HEAD = b" HTTP/1.1\r\nHost: gateway\r\n" + basic(CLIENT_KEY)
SMALL = b"GET /shop/api/languages" + HEAD + b"\r\n"
DOWNLOAD = b"GET /shop/api/products" + HEAD + b"\r\n"
UPLOAD = b"POST /shop/api/products" + HEAD + f"Content-Length: {ENDLESS}\r\n\r\n".encode()


@dataclass
class Traffic:
    """A store whose products never end, either way, and how many bytes of them passed."""

    passed: int = 0

    async def answer(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        if b"/api/languages" in request.raw_head:
            await connection.send(ok(b"<small/>"))
            # The connection is this script's own: answer what else comes on it.
            while await connection.reader.readuntil(b"\r\n\r\n"):
                await connection.send(ok(b"<small/>"))
        elif request.raw_head.startswith(b"GET"):
            await connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n".encode())
            while True:
                await connection.send(CHUNK)
        while data := await connection.reader.read(65536):
            self.passed += len(data)
        return None

    async def download(self, client: RawClient) -> None:
        await client.send(DOWNLOAD)
        while data := await client.reader.read(65536):
            self.passed += len(data)

    async def upload(self, client: RawClient) -> None:
        await client.send(UPLOAD)
        while True:
            await client.send(CHUNK)


class ThinCluster(Cluster):
    """An installation whose one tunnel runs over a thin line."""

    relay: PacedRelay

    @property
    def token(self) -> AccessToken:
        return replace(super().token, servers=(f"{LOOPBACK}:{self.relay.port}",))

    async def start_endpoint(self) -> None:
        await super().start_endpoint()
        self.relay = PacedRelay(self.ssh_port, BITS_PER_S)
        await self.relay.__aenter__()


@asynccontextmanager
async def busy_line(direction: Literal["downloads", "uploads"]) -> AsyncIterator[tuple[ThinCluster, Traffic]]:
    """Eight transfers are under way, and the line is full."""
    traffic = Traffic()
    async with ScriptedStore(traffic.answer, at_head=True) as store, AsyncExitStack() as stack:
        links = [Link("shop", loopback_store(store.port), concurrency=BULK + 2)]
        config = TunnelConfig(tunnels=1, backoff=FAST_BACKOFF)
        cluster = await stack.enter_async_context(
            ThinCluster(links, tunnel=config, ssh=SshConfig(heartbeat_interval_s=1.0))
        )
        stack.push_async_exit(cluster.relay.__aexit__)
        transfer = traffic.download if direction == "downloads" else traffic.upload
        clients = [await stack.enter_async_context(cluster.client()) for _ in range(BULK)]
        running = [asyncio.create_task(transfer(client)) for client in clients]
        try:
            await until(lambda: traffic.passed > BITS_PER_S / 8)
            yield cluster, traffic
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["downloads", "uploads"])
async def test_a_small_exchange_and_a_heartbeat_pass_bulk(direction: Literal["downloads", "uploads"]) -> None:
    exchanges, heartbeats = [], []
    async with busy_line(direction) as (cluster, traffic), cluster.client() as client:
        liveness = cluster.running[0].supervisor._keepers[0]._link.liveness  # type: ignore[union-attr]  # it is up
        assert liveness is not None
        began, passed = time.perf_counter(), traffic.passed
        for _ in range(SAMPLES):
            exchanges.append(await timed(lambda: client.ask(SMALL)))
            before = liveness.answered_at
            liveness.challenge(20)
            await until(lambda before=before: liveness.answered_at != before)  # type: ignore[misc]
            assert liveness.round_trip_s is not None
            heartbeats.append(liveness.round_trip_s)
        rate = (traffic.passed - passed) * 8 / (time.perf_counter() - began)
    print(f"\n{direction}: {rate / 1e6:.1f} Mbit/s in all")
    for name, samples in (("small exchange", exchanges), ("heartbeat", heartbeats)):
        samples.sort()
        print(f"{name}: median {samples[len(samples) // 2] * 1000:.0f} ms, longest {samples[-1] * 1000:.0f} ms")
    assert rate > 0.6 * BITS_PER_S, "the line is used"
    assert exchanges[-1] < LIMIT_S
    assert heartbeats[-1] < LIMIT_S
