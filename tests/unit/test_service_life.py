"""The sentence and the watchdog of a running service: fed by progress, and by nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from agent.service_life import LOOKS_UNTIL_STUCK, ServiceLife, first_dead
from agent.systemd import ServiceNotifier
from agent.tunnel.link import AgentLink
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from tests.kit.notify_manager import NotifyListener
from tests.kit.ssh_servers import tunnel_server
from tests.kit.tunnel_agent import agent
from tests.kit.until import until

UNIT_S = 0.02


@dataclass
class Service:
    """What is told of it; the watchdog's time is four looks."""

    sentence: str = "well"
    stuck: str = ""
    double: NotifyListener = field(default_factory=NotifyListener)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[ServiceLife]:
        async with self.double:
            manager = ServiceNotifier.take(self.double.environ(watchdog_s=4 * UNIT_S), 1)
            async with ServiceLife(manager) as life:
                life.ready(self.say, lambda: self.stuck)
                yield life
            manager.close()

    def say(self) -> str:
        if not self.sentence:
            raise LookupError
        return self.sentence

    def pings(self) -> int:
        return len(self.double.said("WATCHDOG"))


async def test_a_sentence_is_told_when_it_changed_and_signs_of_life_all_the_time() -> None:
    service = Service()
    async with service.alive() as life:
        await until(lambda: service.pings() >= 3)
        assert service.double.messages[0] == {"READY": "1", "STATUS": "well"}
        assert service.double.said("STATUS") == ["well"]
        service.sentence = "better"
        await service.double.message(lambda said: said == {"STATUS": "better"})
        service.sentence, service.stuck = "draining", "a task that has ended, as it should now"
        life.stopping()
        await service.double.message(lambda said: said == {"STOPPING": "1", "STATUS": "draining"})
        before = service.pings()
        await until(lambda: service.pings() > before + LOOKS_UNTIL_STUCK)


async def test_what_is_stuck_is_not_fed_and_named_once() -> None:
    service = Service()
    with capture_logs() as events:
        async with service.alive():
            await until(lambda: service.pings() >= 1)
            service.stuck = "supervisor"
            await until(lambda: bool(events))
            starved_at = service.pings()
            service.sentence = "still talking"
            for sentence in ("one", "two", "three"):  # each of them a later look
                service.sentence = sentence
                await service.double.message(lambda said, now=sentence: said.get("STATUS") == now)  # type: ignore[misc]
            assert service.pings() == starved_at
            service.stuck = ""
            await until(lambda: service.pings() > starved_at)
    assert [(event["event"], event["stuck"]) for event in events] == [("watchdog.not_fed", "supervisor")]


async def test_a_loop_that_does_not_turn_feeds_nothing() -> None:
    service = Service()
    async with service.alive():
        await until(lambda: service.pings() >= 1)
        time.sleep(8 * UNIT_S)  # noqa: ASYNC251 - it is the stall
        with pytest.raises(BlockingIOError):
            service.double._socket.recv(8192)  # all that the manager has, since the loop that reads it stood still, too


async def test_a_defect_in_a_sentence_does_not_end_the_signs_of_life() -> None:
    service = Service()
    with capture_logs() as events:
        async with service.alive():
            service.sentence = ""
            await until(lambda: bool(events))
            before = service.pings()
            await until(lambda: service.pings() > before)
    assert events[0]["event"] == "service.look_failed"


async def test_without_a_manager_nothing_runs() -> None:
    async with ServiceLife(ServiceNotifier()) as life:
        life.ready(lambda: "well", lambda: "")
        assert life._looking is None
        life.stopping()


async def test_a_task_is_dead_when_it_failed_or_was_cancelled() -> None:
    async def fail() -> None:
        raise OSError

    async def end() -> None:
        return

    waiting = asyncio.create_task(asyncio.Event().wait(), name="waiting")
    ended, failed = asyncio.create_task(end(), name="ended"), asyncio.create_task(fail(), name="failed")
    await asyncio.gather(ended, failed, return_exceptions=True)
    assert first_dead([ended]) == ""
    assert first_dead([ended, waiting, failed]) == "failed"  # type: ignore[list-item]
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert first_dead([waiting]) == "waiting"  # type: ignore[list-item]


async def test_a_tunnel_that_nobody_watches_any_more_is_stuck() -> None:
    async with tunnel_server() as server, agent(server.token(server.agents.add())) as supervisor:
        await supervisor.wait_for(lambda each: each.is_ready)
        assert supervisor.stuck() == ""
        link = supervisor._keepers[0]._link
        assert link is not None
        assert link._watch is not None
        link._watch.cancel()
        await asyncio.gather(link._watch, return_exceptions=True)
        assert supervisor.stuck() == "tunnel-0"


async def test_a_state_that_should_have_ended_long_ago_is_stuck() -> None:
    async with tunnel_server() as server:
        token = server.token(server.agents.add())
        await server.close()
        async with agent(token) as supervisor:
            await supervisor.wait_for(_waits)
            keeper = supervisor._keepers[0]
            assert supervisor.stuck() == ""
            assert keeper._task is not None
            keeper._task.cancel()  # it will never try again
            keeper.state, keeper._next_attempt_at = State.WAITING, keeper._loop.time() - 31
            assert supervisor.stuck() == "tunnel-0"
            keeper._next_attempt_at = keeper._loop.time() - 29
            assert supervisor.stuck() == ""


async def test_a_tunnel_whose_end_does_not_end_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no link any more, and its state is still that of one which is up."""
    closing = asyncio.Event()

    async def hang(_link: AgentLink) -> None:
        closing.set()
        await asyncio.Event().wait()

    async with tunnel_server() as server, agent(server.token(server.agents.add())) as supervisor:
        await supervisor.wait_for(lambda each: each.is_ready)
        monkeypatch.setattr(AgentLink, "close", hang)
        (tunnel,) = await server.wait_tunnels(1)
        tunnel.disconnect(11, "away")
        await closing.wait()
        assert supervisor.stuck() == ""
        keeper = supervisor._keepers[0]
        keeper._ended_at -= 31
        keeper._since -= 31
        assert supervisor.stuck() == "tunnel-0"


def _waits(supervisor: Supervisor) -> bool:
    return supervisor.status()[0].next_attempt_in_s is not None
