"""A machine that slept, a process that stood still: what died meanwhile is replaced in seconds, what lives is kept."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.server import sshd
from agent.server.registry import Change
from agent.server.ssh_config import SshConfig
from agent.streams import ByteChannel
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.clock_watch import Clocks
from agent.tunnel.ending import EndReason
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken
from tests.kit.agent_process import AgentProcess
from tests.kit.link_relay import LinkRelay
from tests.kit.paced_relay import PacedRelay
from tests.kit.server_process import ServerProcess
from tests.kit.ssh_servers import AGENT_ID, LOOPBACK, CollectingSession, EchoSession, TunnelServer, tunnel_server
from tests.kit.tunnel_agent import FAST, agent, in_state
from tests.kit.until import until

# The default limits, under which a dead server is noticed after 25 s; only the time after a wake-up is shorter.
DEFAULTS = replace(FAST, challenge_s=0.6)
WAITS_LONG = replace(FAST, backoff=BackoffLimits(first_s=100_000, cap_s=100_000))


@dataclass
class Bed:
    """The machine's clocks, to be put forward while the machine runs: boot for a suspend, wall for a set clock."""

    slept_s: float = 0.0
    set_by_s: float = 0.0

    @property
    def clocks(self) -> Clocks:
        real = Clocks()
        return Clocks(boot=lambda: real.boot() + self.slept_s, wall=lambda: real.wall() + self.slept_s + self.set_by_s)

    def disturb(self, what: str) -> None:
        if what == "suspended":
            self.slept_s += 3600
        elif what == "clock_jumped":
            self.set_by_s += 3600
        else:
            time.sleep(6.5)  # the whole process stands still


def link_of(supervisor: Supervisor) -> object:
    return supervisor._keepers[0]._link


@pytest.mark.parametrize("what", ["suspended", "clock_jumped", "stalled"])
async def test_an_agent_that_waits_tries_at_once(server: TunnelServer, what: str) -> None:
    bed = Bed()
    with capture_logs() as events:
        token = server.token(server.agents.add())
        server.kill()
        async with agent(token, WAITS_LONG, clocks=bed.clocks) as supervisor:
            await supervisor.wait_for(in_state(State.WAITING))
            (status,) = supervisor.status()
            assert (status.next_attempt_in_s or 0) > 30
            await server.start()
            bed.disturb(what)
            began = time.monotonic()
            async with asyncio.timeout(10):
                await server.wait_tunnels(1)
                await supervisor.wait_for(in_state(State.READY))
            assert supervisor._keepers[0]._backoff.failures == 0
            print(f"\n{what}: a waiting agent was back after {time.monotonic() - began:.2f} s")
    assert [event["what"] for event in events if event["event"] == "clock.disturbed"] == [what]


async def test_a_link_that_died_while_the_machine_slept_is_replaced_in_seconds() -> None:
    bed = Bed()
    async with tunnel_server() as server, LinkRelay(server.port) as relay:
        right = server.token(server.agents.add())
        token = AccessToken((f"{LOOPBACK}:{relay.port}",), right.pins, right.agent_id, right.secret)
        async with agent(token, DEFAULTS, clocks=bed.clocks) as supervisor:
            await supervisor.wait_for(in_state(State.READY))
            await until(lambda: supervisor.status()[0].round_trip_s is not None)
            relay.hold()
            bed.disturb("suspended")
            began = time.monotonic()
            async with asyncio.timeout(15):
                await supervisor.wait_for(lambda sup: sup.status()[0].last_ending is not None)
            ending = supervisor.status()[0].last_ending
            assert ending is not None
            assert (ending.reason, ending.detail.endswith(" for 0.6 s.")) == (EndReason.SILENT, True), ending
            noticed_s = time.monotonic() - began
            relay.up.set()
            relay.down.set()
            async with asyncio.timeout(15):
                await supervisor.wait_for(in_state(State.READY))
            print(f"\nnoticed after {noticed_s:.2f} s, a new tunnel after {time.monotonic() - began:.2f} s")


async def test_a_link_that_lived_through_the_sleep_is_kept() -> None:
    bed = Bed()
    async with tunnel_server() as server:
        token = server.token(server.agents.add())
        async with agent(token, replace(DEFAULTS, challenge_s=3.0), clocks=bed.clocks) as supervisor:
            await supervisor.wait_for(in_state(State.READY))
            link = supervisor._keepers[0]._link
            assert link is not None
            assert link.liveness is not None
            await until(lambda: supervisor.status()[0].round_trip_s is not None)
            asked = link.liveness._sequence
            bed.disturb("suspended")
            await until(lambda: link.liveness is not None and link.liveness._answer_by_s is not None)
            await until(lambda: link.liveness is not None and link.liveness._answer_by_s is None)
            assert link.liveness._sequence == asked + 1, "it was asked, long before the next heartbeat was due"
            await asyncio.sleep(3.5)  # the limit of the question passes without an event
            assert link_of(supervisor) is link
            assert not link.ended.done()
            assert not server.changes(Change.REMOVED)


async def test_a_full_line_is_no_dead_one() -> None:
    """The question waits behind seconds of somebody's export, which goes on arriving all the time."""

    size = 1_000_000  # 4 s, less than half a window: the server says nothing by itself; line and relay hold 1 s of it
    config = replace(FAST, challenge_s=2.0)

    class Export(EchoSession):
        def connection_made(self, channel: ByteChannel) -> None:
            super().connection_made(channel)
            channel.write(b"x" * size)

    bed = Bed()
    async with tunnel_server() as server, PacedRelay(server.port, 2e6) as relay:
        right = server.token(server.agents.add())
        token = AccessToken((f"{LOOPBACK}:{relay.port}",), right.pins, right.agent_id, right.secret)
        async with agent(token, config, sessions=lambda nonce: Export(), clocks=bed.clocks) as supervisor:
            (tunnel,) = await server.wait_tunnels(1)
            await supervisor.wait_for(in_state(State.READY))
            link = supervisor._keepers[0]._link
            assert link is not None
            assert link.liveness is not None
            await until(lambda: supervisor.status()[0].round_trip_s is not None)
            session = CollectingSession()
            await tunnel.open_channel(session)
            await session.wait_bytes(1)
            bed.disturb("suspended")
            await session.wait_bytes(size)
            await until(lambda: (supervisor.status()[0].round_trip_s or 0) > config.challenge_s)
            assert link_of(supervisor) is link
            assert not server.changes(Change.REMOVED)


async def test_a_server_that_stood_still_keeps_its_agents(tmp_path: Path) -> None:
    """Their heartbeats wait in its sockets: as long as nobody has read them they prove nothing."""
    limits = {"INTEGRATION_SERVER_SSH__SILENCE_TIMEOUT_S": "2"}
    async with ServerProcess(tmp_path / "data", environment=limits) as server:
        made = await server.api("post", "agents", name="far", public_ssh_address=server.ssh_address)
        toml = "[heartbeat]\ninterval_s = 1\nsilence_s = 60\n"
        async with AgentProcess(tmp_path / "agent", toml, made["access_token"]) as process:
            await process.event("tunnel.ready", 2)
            await _heard_by(server, datetime.now(UTC))
            os.kill(server.pid, signal.SIGSTOP)
            await asyncio.sleep(4)  # it is the time that matters
            os.kill(server.pid, signal.SIGCONT)
            await _heard_by(server, datetime.now(UTC) + timedelta(seconds=1))
            assert not [event for event in server.log if event["event"] in {"tunnel.silent", "tunnel.closed"}]
            assert not [event for event in process.events if event["event"] == "tunnel.lost"]


async def test_a_sweep_that_comes_late_drops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stood still between its reading and the sweep, which then knows nothing of what came meanwhile."""
    late_s = 0.0
    looks = 0

    class LateTime:
        @staticmethod
        def monotonic() -> float:
            nonlocal looks
            looks += 1
            return time.monotonic() + late_s

    monkeypatch.setattr(sshd, "time", LateTime)
    async with tunnel_server() as server, agent(server.token(server.agents.add())) as supervisor:
        await server.wait_tunnels(1)
        await supervisor.wait_for(in_state(State.READY))
        for _ in range(3):
            late_s += 40
            seen = looks
            await until(lambda seen=seen: looks >= seen + 2)  # type: ignore[misc]
        assert not server.changes(Change.REMOVED)


async def _heard_by(server: ServerProcess, since: datetime) -> None:
    """Until the server has heard a heartbeat after that."""
    async with asyncio.timeout(20):
        while True:
            (found,) = await server.api("get", "agents")
            at = found["last_heartbeat_at"]
            if at is not None and datetime.fromisoformat(at) > since:
                return
            await asyncio.sleep(0.1)  # the API has no event


async def test_an_agent_that_stood_still_keeps_its_tunnels(tmp_path: Path) -> None:
    """Its own silence limit passed three times over while it was stopped, and nothing waits in its sockets."""
    async with tunnel_server(SshConfig(heartbeat_interval_s=1.0, silence_limit_s=120)) as server:
        token = server.token(server.agents.add()).encode()
        async with AgentProcess(tmp_path, "[heartbeat]\ninterval_s = 1\nsilence_s = 2\n", token) as process:
            before = await server.wait_tunnels(2)
            await process.event("tunnel.ready", 2)
            await until(lambda: all(tunnel.last_heartbeat_at > tunnel.connected_at for tunnel in before))
            await asyncio.sleep(0.3)  # it has read the answers: no packet will wait for it
            process.signal(signal.SIGSTOP)
            await asyncio.sleep(6.5)  # it is the time that matters
            process.signal(signal.SIGCONT)
            continued_at = time.time()
            await process.event("clock.disturbed")
            await until(lambda: all(tunnel.last_heartbeat_at > continued_at + 1 for tunnel in before))
            assert server.registry.tunnels(AGENT_ID) == before
            assert not [event for event in process.events if event["event"] == "tunnel.lost"]
