"""A store closes kept connections after 5 s or 100 requests: no write meets the closing, and reads are asked again."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.kit.asked import Asked, Outcome, Shape, ask, judge
from tests.kit.closing_store import ClosingStore
from tests.kit.cluster import Cluster, Link, Mode, loopback_store
from tests.kit.stock_ssh import stock_ssh

IDLE_S = [round(4 + step * 0.05, 2) for step in range(41)]
PLAIN_IDLE_S = [4.9, 5.0, 5.05, 5.1]

numbers = itertools.count()


async def _ask(cluster: Cluster, store: ClosingStore, shape: Shape, slug: str = "s") -> str:
    asked = Asked.new(shape, next(numbers), slug.encode())
    outcome: Outcome = await ask(cluster.port, asked)
    return judge(asked, outcome, store.executed[asked.nonce], store.framing)


async def _ask_after_idling(cluster: Cluster, store: ClosingStore, slug: str, shape: Shape, idle_s: float) -> str:
    """Two requests with a pause: the pause is what is tested."""
    assert await _ask(cluster, store, "post", slug) == "200"
    await asyncio.sleep(idle_s)
    return await _ask(cluster, store, shape, slug)


@pytest.mark.parametrize("mode", ["tunnel", "cloud"])
async def test_after_any_pause_a_request_is_carried_out(mode: Mode) -> None:
    """4 to 6 s in steps of 50 ms, reads and writes, each with a store of its own, all at once."""
    async with AsyncExitStack() as stack:
        stores: dict[str, tuple[ClosingStore, Shape, float]] = {}
        for idle_s in IDLE_S:
            for shape in ("post", "get"):
                store = await stack.enter_async_context(ClosingStore())
                stores[f"s{len(stores)}"] = (store, shape, idle_s)
        links = [Link(slug, loopback_store(store.port)) for slug, (store, _, _) in stores.items()]
        cluster = await stack.enter_async_context(Cluster(links, mode=mode))
        answers = await asyncio.gather(
            *(_ask_after_idling(cluster, store, slug, shape, idle_s) for slug, (store, shape, idle_s) in stores.items())
        )
        assert {slug: answer for slug, answer in zip(stores, answers, strict=True) if answer != "200"} == {}
        # Were no request sent into a closing connection, this could not fail: the reads were, and were sent again.
        assert sum(store.lost for store, shape, _ in stores.values() if shape == "get") > 0
        assert sum(store.lost for store, shape, _ in stores.values() if shape == "post") == 0


@pytest.mark.parametrize("mode", ["tunnel", "cloud"])
async def test_no_write_is_the_one_too_many(mode: Mode) -> None:
    """Reads wear a connection up to its 100th request; writes come at each point of its life."""
    async with ClosingStore() as store, Cluster([Link("s", loopback_store(store.port))], mode=mode) as cluster:
        for reads in (80, *range(88, 102), 0):
            for _ in range(reads):
                assert await _ask(cluster, store, "get") == "200"
            assert await _ask(cluster, store, "post") == "200"
        for _ in range(210):
            assert await _ask(cluster, store, "post") == "200"
        assert store.lost > 0, "reads met the closing, and were sent again"


async def test_the_same_behind_a_stock_ssh(tmp_path: Path) -> None:
    """There a channel is a store connection, and the gateway sees to it."""

    async def one(idle_s: float, folder: Path) -> str:
        async with ClosingStore() as store:
            value = loopback_store(store.port)
            async with Cluster([Link("s", value)], plain_store=value) as cluster:
                folder.mkdir()
                async with stock_ssh(cluster, store.port, folder):
                    await cluster.wait_tunnels(1)
                    for _ in range(95):
                        assert await _ask(cluster, store, "get") == "200"
                    assert await _ask(cluster, store, "post") == "200"
                    return await _ask_after_idling(cluster, store, "s", "post", idle_s)

    answers = await asyncio.gather(*(one(idle_s, tmp_path / str(idle_s)) for idle_s in PLAIN_IDLE_S))
    assert answers == ["200"] * len(PLAIN_IDLE_S)
