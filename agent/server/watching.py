"""What a running server does by itself: it tests connections, watches agents, delivers notices; until the drain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from agent.server.notice_delivery import NoticeDelivery
from agent.server.operations.agent_watch import AgentWatch
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.retest import Retest
from agent.server.registry import Registry


@contextlib.asynccontextmanager
async def watching(
    plane: ControlPlane, registry: Registry, *, test_interval_s: float, offline_after_s: float
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Test and watch, by these tasks, until the block is left: agents that this server sends away count as online."""
    retest = Retest(plane, test_interval_s)
    unsubscribe = registry.subscribe(retest.note)
    tasks = [
        asyncio.create_task(retest.run(), name="retest"),
        asyncio.create_task(AgentWatch(plane, offline_after_s).run(), name="agent-watch"),
    ]
    if plane.send_notice is not None:
        delivery = NoticeDelivery(plane, plane.send_notice)
        tasks.append(asyncio.create_task(delivery.run(), name="notice-delivery"))
    try:
        yield tasks
    finally:
        unsubscribe()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
