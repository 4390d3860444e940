"""Clients go away after every byte of their request, by RST and by FIN: about 2,100 of them.

The others notice nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from tests.kit.asked import Asked, Shape, ask, judge
from tests.kit.cluster import Cluster, Link, Mode, loopback_store
from tests.kit.counting_store import CountingStore
from tests.kit.raw_client import RawClient
from tests.kit.scripted_store import linger_off
from tests.kit.until import until

AT_ONCE = 40


async def _leave(cluster: Cluster, asked: Asked, after_bytes: int, *, by_reset: bool) -> None:
    """Send so much of the request, and be gone."""
    async with RawClient(cluster.port) as client:
        await client.send(asked.raw[:after_bytes])
        if by_reset:
            linger_off(client.writer)
        else:
            client.writer.close()
            await client.writer.wait_closed()


async def _stay(cluster: Cluster, store: CountingStore, numbers: Iterator[int], shape: Shape) -> None:
    asked = Asked.new(shape, next(numbers))
    outcome = await ask(cluster.port, asked)
    assert judge(asked, outcome, store.executed[asked.nonce], store.framing) == "200"


@pytest.mark.parametrize("by_reset", [True, False], ids=["reset", "close"])
@pytest.mark.parametrize("mode", ["tunnel", "cloud"])
async def test_what_did_not_arrive_whole_is_not_carried_out(mode: Mode, by_reset: bool) -> None:
    numbers = itertools.count()
    shapes: tuple[Shape, ...] = ("get", "post", "chunked")
    async with CountingStore() as store:
        links = [Link("s", loopback_store(store.port), concurrency=2 * AT_ONCE)]
        async with Cluster(links, mode=mode) as cluster:
            tunnels = cluster.tunnels
            for shape in shapes:
                size = len(Asked.new(shape, 0).raw)
                for start in range(0, size + 1, AT_ONCE):
                    leaving = {
                        after_bytes: Asked.new(shape, next(numbers))
                        for after_bytes in range(start, min(start + AT_ONCE, size + 1))
                    }
                    await asyncio.gather(
                        *(_leave(cluster, asked, count, by_reset=by_reset) for count, asked in leaving.items()),
                        *(_stay(cluster, store, numbers, each) for each in shapes),
                    )
                    await until(lambda: not cluster.gateway.context.active and not cluster.gateway._clients)
                    for count, asked in leaving.items():
                        assert store.executed[asked.nonce] <= (count == size), f"{count} of {size} bytes"
            for agent in cluster.running:
                await until(lambda agent=agent: not agent.context.active)  # type: ignore[misc]  # mypy cannot type a lambda with a default
            assert cluster.tunnels == tunnels, "none was lost"
            for shape in shapes:
                await _stay(cluster, store, numbers, shape)
