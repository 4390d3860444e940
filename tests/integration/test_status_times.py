"""How long a tunnel is down, and how long ago the one before ended, as `status` is told."""

from __future__ import annotations

import asyncio

from agent.tunnel.state import State
from tests.kit.ssh_servers import TunnelServer
from tests.kit.tunnel_agent import agent, in_state


async def test_down_counts_over_all_attempts_and_the_ending_gets_old(server: TunnelServer) -> None:
    now = asyncio.get_running_loop().time
    async with agent(server.token(server.agents.add())) as supervisor:
        await supervisor.wait_for(in_state(State.READY))
        up_at = now()
        (up,) = supervisor.status()
        assert (up.last_ending, up.last_ending_age_s, up.down_s) == (None, None, None)

        server.kill()
        await supervisor.wait_for(lambda sup: not sup.is_ready)
        down_at, attempts = now(), up.attempts
        # The fourth one begins: the third one's ending is younger than the whole outage, since_s younger still.
        await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= attempts + 4)
        (down,) = supervisor.status()
        assert down.down_s is not None
        assert down.last_ending_age_s is not None
        assert now() - down_at <= down.down_s <= now() - up_at
        assert down.since_s <= down.last_ending_age_s < down.down_s

        await server.start()
        await supervisor.wait_for(in_state(State.READY))
        (back,) = supervisor.status()
        assert back.down_s is None
        assert back.last_ending is not None
        assert back.last_ending_age_s is not None
        assert back.since_s <= back.last_ending_age_s <= now() - down_at
