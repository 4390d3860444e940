"""64 clients write at once, with and without a storm of faults: no write runs twice, and what is answered ran."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter

from structlog.testing import capture_logs

from tests.kit.asked import Asked, Outcome, ask, judge
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.counting_store import CountingStore
from tests.kit.scripted_store import StoreConnection, StoreRequest

CLIENTS = 64
FAULTS = 30


class BusyStore(CountingStore):
    """Takes up to 30 ms for each request, so that faults meet requests in every stage of their lives."""

    def __init__(self, chances: random.Random) -> None:
        super().__init__()
        self._chances = chances

    async def _carry_out(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await asyncio.sleep(self._chances.random() * 0.03)
        return await super()._carry_out(request, connection)


class Crowd:
    """Clients that write until they are told to stop; each answer is judged when it comes, and at the end."""

    def __init__(self, cluster: Cluster, store: CountingStore) -> None:
        self.cluster = cluster
        self.store = store
        self.found: Counter[str] = Counter()
        self.not_sent: list[str] = []
        self.stopped = False
        self._numbers = itertools.count()

    async def write(self, count: int | None = None) -> None:
        """One client: ``count`` writes, or as many as there is time for."""
        done = 0
        while not self.stopped and (count is None or done < count):
            done += 1
            number = next(self._numbers)
            asked = Asked.new("chunked" if number % 4 == 0 else "post", number)
            self._note(asked, await ask(self.cluster.port, asked))

    def _note(self, asked: Asked, outcome: Outcome) -> None:
        if outcome.error in ("agent_offline", "connection_busy"):
            assert outcome.status == 503
            self.not_sent.append(asked.nonce)
            self.found[outcome.error] += 1
        else:
            self.found[judge(asked, outcome, self.store.executed[asked.nonce], self.store.framing)] += 1

    def settle(self) -> None:
        """When all is over: never twice, and what was said not to be sent was not."""
        twice = {nonce: count for nonce, count in self.store.executed.items() if count != 1}
        assert not twice, twice
        assert not [nonce for nonce in self.not_sent if self.store.executed[nonce]]


async def _storm(cluster: Cluster, chances: random.Random) -> Counter[str]:
    """Break things in every way that leaves a server standing; which, and how often."""
    done: Counter[str] = Counter()
    for _ in range(FAULTS):
        await asyncio.sleep(0.02 + chances.random() * 0.2)  # the moments of faults are the experiment
        fault = chances.choice(["all tunnels", "one tunnel", "takeover", "agent"])
        done[fault] += 1
        if fault == "all tunnels":
            cluster.cut_tunnels()
        elif fault == "one tunnel":
            assert cluster.endpoint is not None
            for link in tuple(cluster.endpoint._context.links)[:1]:
                link._conn.abort()
        elif fault == "takeover":
            # The same identity from elsewhere, as after a change of address that the server has not noticed.
            agent = cluster.start_agent()
            agent.instance_id = cluster.running[0].instance_id
            await agent.supervisor.wait_for(lambda supervisor: supervisor.is_ready)
            await cluster.running.pop(0).stop()
        else:
            await cluster.running.pop(0).stop()
            cluster.start_agent()
    return done


async def test_each_write_runs_once() -> None:
    async with BusyStore(random.Random(1)) as store:
        links = [Link("s", loopback_store(store.port), concurrency=CLIENTS, connections_max=2 * CLIENTS)]
        async with Cluster(links) as cluster:
            crowd = Crowd(cluster, store)
            await asyncio.gather(*(crowd.write(20) for _ in range(CLIENTS)))
            crowd.settle()
            assert crowd.found == {"200": CLIENTS * 20}
            assert len(store.executed) == CLIENTS * 20


async def test_in_a_storm_no_write_runs_twice() -> None:
    chances = random.Random(2)
    async with BusyStore(chances) as store:
        links = [Link("s", loopback_store(store.port), concurrency=CLIENTS, connections_max=2 * CLIENTS)]
        with capture_logs() as events:
            async with Cluster(links) as cluster:
                crowd = Crowd(cluster, store)
                writing = asyncio.gather(*(crowd.write() for _ in range(CLIENTS)))
                faults = await _storm(cluster, chances)
                crowd.stopped = True
                await writing
                crowd.settle()
    print(dict(crowd.found), dict(faults))  # what came of it, for whoever looks
    assert len(faults) == 4, "each kind"
    assert crowd.found["200"] > 100, "it went on working"
    assert crowd.found["tunnel_lost"] > 0, "writes were under way when tunnels broke"
    defects = [event for event in events if event["event"] in ("channel.failed", "tunnel.failed")]
    assert not defects, defects
