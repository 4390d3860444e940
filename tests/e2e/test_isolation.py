"""Connections of one agent, in one tunnel, do not delay each other: whatever one store or client does.

Rates are compared with undisturbed runs before and after in the same test, the best of several short ones each, so
that a busy machine disturbs both alike.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from agent.tunnel.config import TunnelConfig
from tests.kit.cluster import CLIENT_KEY, FAST_BACKOFF, Cluster, Link, loopback_store
from tests.kit.deaf_store import DeafStore
from tests.kit.raw_client import RawAnswer, RawClient, basic
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok

RATIO_MIN = 0.7
STORM_RATIO_MIN = 0.5
"""An error costs this process more work than an answer: it dials anew. That is shared work, not a delay."""
LARGE_BYTES = 40 << 20
BUFFERED_MAX_BYTES = 16 << 20
"""What may be on the way when nobody reads: windows, socket buffers of four hops; far below the whole."""

ONE_TUNNEL = TunnelConfig(tunnels=1, backoff=FAST_BACKOFF)


def get(slug: str) -> bytes:
    return f"GET /{slug}/api/products HTTP/1.1\r\nHost: gateway\r\n".encode() + basic(CLIENT_KEY) + b"\r\n"


class Neighbours:
    """The stores beside the fast one, each with a bad habit that lasts until ``release``."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.downloaded_bytes = 0
        self.uploaded_bytes = 0

    async def silent(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        """Takes the request and says nothing."""
        await self.release.wait()
        return ok()

    async def large(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        """Sends a large body as fast as it is taken."""
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: " + str(LARGE_BYTES).encode() + b"\r\n\r\n")
        piece = b"x" * 65536
        while self.downloaded_bytes < LARGE_BYTES:
            await connection.send(piece)
            self.downloaded_bytes += len(piece)
        return None

    async def broken(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        """Answers what is no HTTP."""
        return b"oops\r\n\r\n"


async def _batch(clients: list[RawClient], rounds: int) -> float:
    """Requests per second of all these clients together."""
    began_at = time.perf_counter()

    async def one(client: RawClient) -> None:
        for _ in range(rounds):
            assert (await client.ask(get("fast"))).status == 200

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(one(client))
    return len(clients) * rounds / (time.perf_counter() - began_at)


async def _best(clients: list[RawClient]) -> float:
    return max([await _batch(clients, 20) for _ in range(5)])


async def test_a_silent_store_and_a_client_and_a_store_that_do_not_read_slow_nobody_down() -> None:
    neighbours = Neighbours()
    async with AsyncExitStack() as stack:
        fast = await stack.enter_async_context(ScriptedStore())
        silent = await stack.enter_async_context(ScriptedStore(neighbours.silent))
        large = await stack.enter_async_context(ScriptedStore(neighbours.large))
        deaf = await stack.enter_async_context(DeafStore())
        stack.callback(neighbours.release.set)
        links = [
            Link("fast", loopback_store(fast.port)),
            Link("silent", loopback_store(silent.port), concurrency=4),
            Link("large", loopback_store(large.port)),
            Link("deaf", loopback_store(deaf.port)),
        ]
        cluster = await stack.enter_async_context(Cluster(links, tunnel=ONE_TUNNEL))
        assert len(cluster.tunnels) == 1

        async def connected() -> RawClient:
            return await stack.enter_async_context(cluster.client())

        clients = [await connected() for _ in range(4)]
        before = await _best(clients)

        waiting = [await connected() for _ in range(8)]  # four at the store, four in the queue of that connection
        for client in waiting:
            await client.send(get("silent"))
        await silent.wait_for_requests(4)
        lazy = await connected()
        lazy.reader._transport.pause_reading()  # type: ignore[attr-defined]  # nothing is read from this socket
        await lazy.send(get("large"))
        uploader = await connected()
        upload = asyncio.create_task(_upload(uploader, neighbours))
        stack.callback(upload.cancel)
        disturbed = await _best(clients)

        assert len(silent.requests) == 4, "its places are used up, and only its own"
        assert 0 < neighbours.downloaded_bytes < BUFFERED_MAX_BYTES, "the store feels that its answer is not read"
        assert 0 < neighbours.uploaded_bytes < BUFFERED_MAX_BYTES, "the client feels that its upload is not read"

        neighbours.release.set()
        deaf.listen.set()
        lazy.reader._transport.resume_reading()  # type: ignore[attr-defined]  # a socket transport
        answers = await asyncio.gather(*(client.answer() for client in waiting))
        assert [answer.status for answer in answers] == [200] * 8
        download = await lazy.answer(timeout_s=60)
        assert download.body == b"x" * LARGE_BYTES
        assert (await upload).status == 200

        after = await _best(clients)
        assert disturbed >= RATIO_MIN * min(before, after), f"{before:.0f}/s, {disturbed:.0f}/s, {after:.0f}/s"


async def _upload(client: RawClient, neighbours: Neighbours) -> RawAnswer:
    head = f"POST /deaf/api/products HTTP/1.1\r\nHost: gateway\r\nContent-Length: {LARGE_BYTES}\r\n"
    await client.send(head.encode() + basic(CLIENT_KEY) + b"\r\n")
    for _ in range(LARGE_BYTES >> 20):
        await client.send(b"y" * (1 << 20))
        neighbours.uploaded_bytes += 1 << 20
    return await client.answer(timeout_s=60)


async def test_a_storm_of_errors_on_one_connection_delays_no_other() -> None:
    """Compared, in turns, with the same number of neighbours that are well."""
    neighbours = Neighbours()
    async with AsyncExitStack() as stack:
        fast = await stack.enter_async_context(ScriptedStore())
        well = await stack.enter_async_context(ScriptedStore())
        broken = await stack.enter_async_context(ScriptedStore(neighbours.broken))
        gone = await stack.enter_async_context(ScriptedStore())
        gone_port = gone.port
        await gone.__aexit__()
        links = [
            Link("fast", loopback_store(fast.port)),
            Link("well", loopback_store(well.port)),
            Link("broken", loopback_store(broken.port)),
            Link("gone", loopback_store(gone_port)),
        ]
        cluster = await stack.enter_async_context(Cluster(links, tunnel=ONE_TUNNEL))
        clients = [await stack.enter_async_context(cluster.client()) for _ in range(4)]
        rates: dict[str, list[float]] = {"well": [], "storm": []}
        for kind, slugs in (("well", ("well", "well")), ("storm", ("broken", "gone"))) * 3:
            tasks = [asyncio.create_task(_storm(cluster, slug)) for slug in slugs for _ in range(4)]
            rates[kind] += [await _batch(clients, 20) for _ in range(3)]
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results), results
        assert broken.requests
        assert {"store_bad_response", "store_unreachable"} <= {record.error for record in cluster.records}
        assert max(rates["storm"]) >= STORM_RATIO_MIN * max(rates["well"]), rates


async def _storm(cluster: Cluster, slug: str) -> None:
    while True:
        async with cluster.client() as client:
            for _ in range(20):
                answer = await client.ask(get(slug))
                assert (answer.status == 200) == (slug == "well"), answer.raw
