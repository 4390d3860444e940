"""Tests of connections that the server makes by itself: in turn, and when a tunnel of their agent comes back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from agent.errors import AgentError
from agent.server.operations.checks import check_connection
from agent.server.operations.connection_watch import keep_test
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError
from agent.server.operations.retest_plan import RetestPlan
from agent.server.operations.test_history import Cause, newest_tests
from agent.server.registry import Change, RegistryEvent
from agent.server.routes import Route

TICK_S: Final = 1.0

_LOG = structlog.get_logger()


class Retest:
    """``note`` is subscribed to the registry; ``run`` tests until it is cancelled, and cancels what it tests then."""

    def __init__(
        self,
        plane: ControlPlane,
        interval_s: float,
        *,
        uniform: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
        tick_s: float = TICK_S,
    ) -> None:
        self._plane = plane
        self._plan = RetestPlan(interval_s, uniform)
        self._clock = clock
        self._tick_s = tick_s

    def note(self, event: RegistryEvent) -> None:
        """Take one event of the registry."""
        if event.change is Change.READY:
            agent_id = event.tunnel.agent_id
            wanted, now = self._wanted(), self._clock()
            self._plan.keep([route.connection_id for route in wanted], now)
            self._plan.tunnel_is_back([route.connection_id for route in wanted if route.agent_id == agent_id], now)

    async def run(self) -> None:
        """Test whatever is due."""
        tested_at = await self._tested_at()
        async with asyncio.TaskGroup() as group:
            while True:
                now = self._clock()
                self._plan.keep([route.connection_id for route in self._wanted()], now, tested_at)
                for connection_id, cause in self._plan.start(now):
                    group.create_task(self._test(connection_id, cause), name=f"retest-{connection_id}")
                await asyncio.sleep(self._tick_s)

    async def _tested_at(self) -> dict[str, float]:
        try:
            return {connection_id: test.at for connection_id, test in (await newest_tests(self._plane)).items()}
        except SQLAlchemyError as error:  # then all of them are spread as if they were new
            _LOG.warning("retest.history_unknown", error=type(error).__name__)
            return {}

    def _wanted(self) -> list[Route]:
        return [route for route in self._plane.live.routing.routes if route.enabled and route.api_key]

    async def _test(self, connection_id: str, cause: Cause) -> None:
        try:
            route = self._plane.live.route(connection_id)
            registry = self._plane.registry
            if route is None or not route.enabled:
                return
            if route.agent_id is not None and registry is not None and not registry.tunnels(route.agent_id):
                return  # that the agent is away is told by itself; it is tested when it is back
            await keep_test(self._plane, await check_connection(self._plane, connection_id), cause)
        except (ConflictError, SQLAlchemyError) as error:  # a person tests it, it was deleted, the database is busy
            _LOG.info("retest.left_out", connection_id=connection_id, cause=cause, error=type(error).__name__)
        except (AgentError, OSError) as error:
            _LOG.warning("retest.failed", connection_id=connection_id, cause=cause, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - one connection's defect must not end the tests of all others
            _LOG.error("retest.defect", connection_id=connection_id, cause=cause, error=type(error).__name__)
        finally:
            self._plan.done(connection_id)
