"""Connections do not delay one another: places, queue, deadline; and what a full queue is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from agent.server.gateway_context import GatewayLimits
from tests.kit.asking import request
from tests.kit.cluster import Cluster, Link, Mode, loopback_store
from tests.kit.raw_client import RawAnswer, RawClient
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok
from tests.kit.until import until

UNIT_S = 0.1
CONCURRENCY = 8
LIMITS = GatewayLimits(queue_s=5 * UNIT_S, queue_max=4)


class Held:
    """A store that holds every answer until told."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await self.go.wait()
        return ok()


class Scene:
    """Connection ``slow``, whose store holds, and ``fast`` on the same gateway (and through the same tunnel)."""

    def __init__(self, cluster: Cluster, slow: ScriptedStore, fast: ScriptedStore, held: Held) -> None:
        self.cluster = cluster
        self.slow = slow
        self.fast = fast
        self.held = held
        self._clients = contextlib.AsyncExitStack()
        self._asked: list[asyncio.Task[RawAnswer]] = []

    async def ask(self, slug: bytes = b"slow", method: bytes = b"GET") -> asyncio.Task[RawAnswer]:
        """One more client with one request; its answer is awaited in the background."""
        client = await self._clients.enter_async_context(self.cluster.client())
        await client.send(request(b"/" + slug + b"/api/products", method=method))
        task = asyncio.ensure_future(client.answer())
        self._asked.append(task)
        return task

    async def fill(self) -> list[asyncio.Task[RawAnswer]]:
        """Take every place of the slow connection."""
        tasks = [await self.ask() for _ in range(CONCURRENCY)]
        await self.slow.wait_for_requests(CONCURRENCY)
        return tasks

    async def wait_queued(self, count: int) -> None:
        """Until so many requests of the slow connection wait."""
        admission = self.cluster.gateway.context._admissions["id-slow"]
        await until(lambda: admission.waiting == count)

    async def close(self) -> None:
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)
        await self._clients.aclose()


@pytest.fixture(params=["cloud", "tunnel"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    mode: Mode = request.param
    held = Held()
    async with ScriptedStore(held) as slow, ScriptedStore() as fast:
        links = [
            Link("slow", loopback_store(slow.port), concurrency=CONCURRENCY),
            Link("fast", loopback_store(fast.port)),
        ]
        async with Cluster(links, mode=mode, limits=LIMITS) as cluster:
            made = Scene(cluster, slow, fast, held)
            yield made
            await made.close()


async def ask_often(client: RawClient, count: int) -> float:
    """Seconds for ``count`` exchanges of the fast connection."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(count):
        assert (await client.ask(request(b"/fast/api/products"))).status == 200
    return loop.time() - began


async def test_a_held_store_does_not_slow_another_connection(scene: Scene) -> None:
    async with scene.cluster.client() as client:
        await ask_often(client, 20)
        alone_s = await ask_often(client, 100)
        tasks = await scene.fill()
        for _ in range(4):
            tasks.append(await scene.ask())
        await scene.wait_queued(4)
        beside_s = await ask_often(client, 100)
    assert beside_s < 5 * alone_s + UNIT_S
    assert len(scene.slow.requests) == CONCURRENCY, "no more than that run"
    scene.held.go.set()
    assert [(await task).status for task in tasks] == [200] * (CONCURRENCY + 4)
    assert len(scene.slow.requests) == CONCURRENCY + 4


async def test_the_queue_has_an_end_and_a_deadline(scene: Scene) -> None:
    await scene.fill()
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting = [await scene.ask() for _ in range(4)]
    await scene.wait_queued(4)
    over = await (await scene.ask())
    assert (over.status, over.error_name, over.field("Retry-After")) == (503, "connection_busy", "2")
    assert loop.time() - began < LIMITS.queue_s, "told at once"
    for task in waiting:
        answer = await task
        assert (answer.status, answer.error_name, answer.field("Retry-After")) == (503, "connection_busy", "2")
    assert loop.time() - began >= LIMITS.queue_s
    assert len(scene.slow.requests) == CONCURRENCY


async def test_one_that_leaves_the_queue_never_reaches_the_store(scene: Scene) -> None:
    tasks = await scene.fill()
    async with scene.cluster.client() as client:
        await client.send(request(b"/slow/api/products/999", method=b"DELETE"))
        await scene.wait_queued(1)
    await scene.wait_queued(0)
    scene.held.go.set()
    assert [(await task).status for task in tasks] == [200] * CONCURRENCY
    assert b"DELETE" not in scene.slow.received


async def test_a_client_that_leaves_gives_its_place_to_the_next(scene: Scene) -> None:
    async with contextlib.AsyncExitStack() as leaving:
        for _ in range(CONCURRENCY):
            client = await leaving.enter_async_context(scene.cluster.client())
            await client.send(request(b"/slow/api/products"))
        await scene.slow.wait_for_requests(CONCURRENCY)
        waiting = await scene.ask()
        await scene.wait_queued(1)
    scene.held.go.set()
    assert (await waiting).status == 200


async def test_an_unread_download_does_not_slow_another_connection(scene: Scene) -> None:
    async def big(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(ok(b"x" * 50_000_000))
        return None

    scene.slow.script = big
    async with scene.cluster.client() as unread, scene.cluster.client() as client:
        await ask_often(client, 20)
        alone_s = await ask_often(client, 50)
        unread.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport
        await unread.send(request(b"/slow/api/products"))
        await scene.slow.wait_for_requests(1)
        beside_s = await ask_often(client, 50)
        assert beside_s < 10 * alone_s + 3 * UNIT_S
        unread.writer.transport.resume_reading()  # type: ignore[attr-defined]  # asyncio types it as a write transport
        answer = await unread.answer()
        assert len(answer.body) == 50_000_000
