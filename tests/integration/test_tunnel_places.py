"""How many instances of one agent serve at once, over real SSH, with agents that do not mean well."""

from __future__ import annotations

import asyncssh

from agent.server.registry import Change
from tests.kit.raw_agent import RawControl, Sink, raw_connection, raw_control, raw_hello
from tests.kit.ssh_servers import AGENT_ID, SHOP, TunnelServer


async def _instance(server: TunnelServer, secret: str, name: str) -> tuple[asyncssh.SSHClientConnection, RawControl]:
    """An instance that has said hello."""
    conn = await raw_connection(server.port, secret)
    await conn.create_server(lambda host, port: Sink(), "store", 80)
    control = await raw_control(conn)
    control.say(raw_hello(name))
    return conn, control


async def test_one_that_says_for_ever_that_it_leaves_does_not_serve_beside_the_real_one(server: TunnelServer) -> None:
    secret = server.agents.add()
    copied, says = await _instance(server, secret, "copied")
    await says.answer("welcome")
    says.say({"type": "drain", "soft": True})
    while not server.changes(Change.LEAVING):
        await server.next_event()
    real, hears = await _instance(server, secret, "real")
    await hears.answer("welcome")
    await server.wait_tunnels(2)
    assert [tunnel.instance_id for tunnel in server.registry.eligible(AGENT_ID, SHOP)] == ["real"]
    real.abort()
    await server.wait_tunnels(1)
    assert server.registry.eligible(AGENT_ID, SHOP) == [], "nor when the real one is away for a moment"
    copied.abort()
