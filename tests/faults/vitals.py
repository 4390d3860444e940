"""What both programs hold at rest: files, tasks, tunnels, channels, connections; a leak is more of it than before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from agent.server.channel_limits import ChannelLimits
from tests.faults.lane import TUNNELS, Lane

PATIENCE_S = 10.0
IDLE_CHANNELS_MAX = ChannelLimits().kept_max + ChannelLimits().warm_min

Vitals = dict[str, int]


async def settled(lane: Lane, baseline: Vitals | None = None) -> Vitals:
    """The figures that may grow, once nothing runs; with a baseline, not before they are as low as that.

    Raises ``AssertionError`` with what is too much.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    last: Vitals = {}
    while True:
        await lane.store.ask("close_idle")  # kept-alive connections are no leak, and how many there are is chance
        now, wrong = _read(lane, await lane.agent_status(), await lane.server_status())
        if baseline is not None:
            wrong += [f"{name}: {now[name]}, at rest {most}" for name, most in baseline.items() if now[name] > most]
        elif now != last:
            wrong.append("not at rest yet")
        if not wrong:
            return now
        assert asyncio.get_running_loop().time() < deadline, "left behind: " + "; ".join(wrong)
        last = now


def _read(lane: Lane, agent: dict[str, Any], server: dict[str, Any]) -> tuple[Vitals, list[str]]:
    """Figures to compare with a baseline, and what must be zero, or alike on both sides, and is not."""
    assert lane.agent is not None
    assert lane.server is not None
    stores, gateway, tunnels = agent["store_connections"], server["gateway"], server["tunnels"]
    idle = sum(tunnel["channels"]["idle"] for tunnel in tunnels)
    zero = {
        "agent exchanges": agent["exchanges"]["in_flight"],
        "agent store connections": stores["idle"] + stores["busy"],
        "server exchanges": gateway["in_flight"],
        "server parked": gateway["parked"],
        "server clients": gateway["clients"],
        "server busy channels": sum(tunnel["channels"]["busy"] + tunnel["in_flight"] for tunnel in tunnels),
    }
    wrong = [f"{name}: {number}" for name, number in zero.items() if number]
    same = {
        "tunnels": (len(agent["tunnels"]), len(tunnels), TUNNELS),
        "connections of agents": (server["ssh_connections"], TUNNELS),
        "channels": (agent["sessions"], idle),
    }
    wrong += [f"{name}: {numbers}" for name, numbers in same.items() if len(set(numbers)) != 1]
    if idle > TUNNELS * IDLE_CHANNELS_MAX:
        wrong.append(f"idle channels: {idle}")
    figures = {
        "server files": _descriptors(lane.server.pid),
        "server tasks": server["process"]["tasks"],
        "agent files": _descriptors(lane.agent.pid),
        "agent tasks": agent["process"]["tasks"],
    }
    return figures, wrong


def _descriptors(pid: int) -> int:
    """Counted from outside, so that nobody need be believed."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
