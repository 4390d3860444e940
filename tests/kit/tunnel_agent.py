"""The agent's end of the tunnel for tests: a supervisor with short waits, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from agent.policy import Rule
from agent.store_url import Store
from agent.streams import ByteSession
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.clock_watch import Clocks
from agent.tunnel.config import TunnelConfig
from agent.tunnel.messages import Grant, Hello
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken
from tests.kit.ssh_servers import AGENT_ID, SHOP, CollectingSession, EchoSession, TunnelServer

OTHER_SHOP = Store("http", "shop.test", 80, "/other/")
FAST = TunnelConfig(
    tunnels=1,
    connect_timeout_s=5,
    login_timeout_s=5,
    bye_grace_s=0.5,
    backoff=BackoffLimits(first_s=0.02, cap_s=0.2, reset_after_s=0.5),
)
SLOW_LANE_FOR_EVER = replace(FAST, backoff=BackoffLimits(first_s=0.02, cap_s=600))


def hello(instance: str = "instance-1", stores: tuple[Store, ...] = (SHOP,)) -> Callable[[int], Hello]:
    grants = [Grant.from_rule(Rule(store)) for store in stores]
    return lambda index: Hello(version="9.9", instance_id=instance, host="shop-host", stores=grants)


@asynccontextmanager
async def agent(
    token: AccessToken,
    config: TunnelConfig = FAST,
    greeting: Callable[[int], Hello] | None = None,
    sessions: Callable[[bytes], ByteSession] = lambda nonce: EchoSession(),
    in_flight: Callable[[], int] | None = None,
    clocks: Clocks | None = None,
) -> AsyncIterator[Supervisor]:
    """A supervisor that runs until the block ends."""
    supervisor = Supervisor(config, token, greeting or hello(), sessions, in_flight=in_flight, clocks=clocks)
    running = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def in_state(*states: State) -> Callable[[Supervisor], bool]:
    return lambda supervisor: {status.state for status in supervisor.status()} <= set(states)


async def echo(server: TunnelServer, agent_id: str = AGENT_ID) -> bytes:
    """Send a few bytes through the least loaded tunnel and read them back."""
    session = CollectingSession()
    await server.registry.eligible(agent_id, SHOP)[0].open_channel(session)
    session.channel.write(b"ping")
    answer = await session.wait_bytes(4)
    session.channel.close()
    await session.lost.wait()
    return answer
