"""Two agent processes on one token: the death of either loses no new request; each serves the stores it opens."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.kit.agent_process import AgentProcess
from tests.kit.asked import Shape
from tests.kit.counting_store import CountingStore
from tests.kit.real_site import RealSite, real_site
from tests.kit.scripted_store import StoreConnection, StoreRequest
from tests.kit.until import until

PER_S = 30
NOTICE_S = 1.0  # from the end of a process to the moment at which this test reads of it in the server's log


class SlowStore(CountingStore):
    """Takes 60 ms for each request, so that some are under way whenever something happens."""

    async def _carry_out(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await asyncio.sleep(0.06)
        return await super()._carry_out(request, connection)


@dataclass
class Stream:
    """Requests at a steady pace from connections of their own, whatever becomes of the earlier ones."""

    site: RealSite
    answers: list[tuple[float, float, Shape, str]] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, and until all are answered."""
        loop = asyncio.get_running_loop()
        number, began_at = 0, loop.time()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                group.create_task(self._one("post" if number % 2 else "get"), name=f"request-{number}")
                number += 1
                await asyncio.sleep(max(0.0, began_at + number / PER_S - loop.time()))  # the pace

    async def _one(self, shape: Shape) -> None:
        clock = asyncio.get_running_loop().time
        began_at = clock()
        answer = await self.site.answer(shape)
        self.answers.append((began_at, clock(), shape, answer))

    async def more(self, count: int) -> None:
        """Until so many further requests were answered."""
        wanted = len(self.answers) + count
        async with asyncio.timeout(30):
            while len(self.answers) < wanted:  # noqa: ASYNC110 - a count of what others do
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_no_new_request_is_lost_when_either_goes(tmp_path: Path, number: signal.Signals) -> None:
    loop = asyncio.get_running_loop()
    noticed_at: list[float] = []
    async with SlowStore() as store, real_site(tmp_path, {"one": store}, max_instances=2) as site:
        stream = Stream(site)
        stop = asyncio.Event()

        async def strike(agent: AgentProcess) -> None:
            closed = len(site.logged("tunnel.closed"))
            agent.signal(number)
            assert await agent.ended() == (-number if number is signal.SIGKILL else 0)
            await until(lambda: len(site.logged("tunnel.closed")) == closed + 2)
            noticed_at.append(loop.time())

        async with site.agent("a") as first, site.agent("b") as second:
            await asyncio.gather(first.event("tunnel.ready", 2), second.event("tunnel.ready", 2))
            streaming = asyncio.create_task(stream.run(stop), name="stream")
            try:
                await stream.more(PER_S)
                await strike(first)
                await stream.more(PER_S)
                async with site.agent("a") as returned:
                    await returned.event("tunnel.ready", 2)
                    await stream.more(PER_S)
                    await strike(second)
                    await stream.more(PER_S)
                    stop.set()
                    await streaming
            finally:
                stop.set()
                await asyncio.gather(streaming, return_exceptions=True)
        assert len(stream.answers) > 4 * PER_S
        for began_at, ended_at, shape, answer in stream.answers:
            if answer != "200":
                assert (number, shape, answer) == (signal.SIGKILL, "post", "tunnel_lost")
                assert any(began_at <= at <= ended_at + NOTICE_S for at in noticed_at), "it was a new one"
        assert set(store.executed.values()) <= {1, 2}


async def test_each_instance_gets_what_it_opens(tmp_path: Path) -> None:
    """Also when the one that a request is for is leaving, or gone: the other one must not be asked, and is not."""
    async with (
        CountingStore() as one,
        CountingStore() as two,
        real_site(tmp_path, {"one": one, "two": two}, max_instances=2) as site,
        site.agent("a", "one") as first,
    ):
        async with site.agent("b", "two") as second:
            await asyncio.gather(first.event("tunnel.ready", 2), second.event("tunnel.ready", 2))
            wishes: list[tuple[Shape, str]] = [("get", "one"), ("post", "one"), ("get", "two"), ("post", "two")]
            assert set(await asyncio.gather(*(site.answer(*wish) for wish in wishes * 5))) == {"200"}

            two.by_halves = True
            running = asyncio.create_task(site.answer("post", "two"), name="running")
            await two.wait_for_requests(len(two.requests) + 1)
            two.by_halves = False
            second.signal(signal.SIGTERM)
            await second.event("agent.leaving")
            assert [await site.answer("post", slug) for slug in ("two", "one")] == ["200", "200"]
            two.proceed.set()
            assert await running == "200"
            assert await second.ended() == 0
        waiting = asyncio.create_task(site.answer("post", "two"), name="waiting")
        assert await site.answer("post", "one") == "200"
        async with site.agent("b", "two") as returned:
            await returned.event("tunnel.ready", 2)
            assert await waiting == "200", "it was kept for the instance that comes back"
            closed = len(site.logged("tunnel.closed"))
            first.signal(signal.SIGKILL)
            await until(lambda: len(site.logged("tunnel.closed")) == closed + 2)
            assert await site.answer("post", "two") == "200"
            _, given_up = await site.ask("post", "one")
            assert (given_up.status, given_up.error) == (503, "agent_offline"), given_up
            await _denied(site, "one")
            for agent in (first, second, returned):
                assert not [event for event in agent.events if event.get("error") == "policy_denied"]


async def _denied(site: RealSite, slug: str) -> None:
    """By the gateway: no agent that is there opens this store, and none has been asked."""
    _, outcome = await site.ask("post", slug)
    assert (outcome.status, outcome.error) == (403, "policy_denied"), outcome
    assert b"Proxy-Status: integration-server;" in outcome.head
