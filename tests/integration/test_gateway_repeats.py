"""A read whose tunnel breaks is sent again, but not through what is left of that tunnel."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from agent.tunnel.config import TunnelConfig
from tests.kit.asking import request
from tests.kit.cluster import FAST_BACKOFF, Cluster, Link, loopback_store
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok

AT_ONCE = 8
ONE_TUNNEL = TunnelConfig(tunnels=1, backoff=FAST_BACKOFF)


async def test_a_read_is_not_sent_again_over_an_idle_channel_of_the_tunnel_that_broke() -> None:
    """Three attempts are all there are: the idle channels of one dying tunnel must not use them up."""
    others_may_end, never = asyncio.Event(), asyncio.Event()

    async def answer(asked: StoreRequest, connection: StoreConnection) -> bytes:
        if len(store.requests) < AT_ONCE + 2:
            await (never if asked is store.requests[0] or len(store.requests) > AT_ONCE else others_may_end).wait()
        return ok()

    async with ScriptedStore(answer) as store, AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            Cluster([Link("lyon", loopback_store(store.port))], tunnel=ONE_TUNNEL)
        )
        clients = [await stack.enter_async_context(cluster.client()) for _ in range(AT_ONCE)]
        first = asyncio.create_task(clients[0].ask(request()))  # on the oldest channel, which is told first
        await store.wait_for_requests(1)
        others = [asyncio.create_task(client.ask(request())) for client in clients[1:]]
        await store.wait_for_requests(AT_ONCE)
        others_may_end.set()
        await asyncio.gather(*others)
        for sent in (1, 2):  # so often the tunnel breaks under it, which leaves one attempt
            await store.wait_for_requests(AT_ONCE - 1 + sent)
            (broken,) = cluster.tunnels
            assert sent == 2 or broken.channels.idle_count > 2
            broken.link._conn.abort()  # type: ignore[attr-defined]  # the SSH connection under it
        assert (await first).status == 200
        assert len(store.requests) == AT_ONCE + 2
