"""Tests of connections that a page is watching: each runs as a task, and its page asks how far it is."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from agent.doctor.report import CheckReport, Step
from agent.server.operations.failures import OperationError

KEPT_MAX: Final = 50
"""Runs that are remembered: those that nobody asks for any more are forgotten, the oldest first."""


@dataclass(slots=True, eq=False)
class TestRun:
    """One test: ``steps`` so far, then ``report`` or ``failure``. ``owner`` is who may look at it."""

    __test__ = False  # the name is the product's, not pytest's

    id: str
    owner: str
    steps: list[Step] = field(default_factory=list)
    report: CheckReport | None = None
    failure: str = ""
    task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """True when nothing more will come."""
        return self.report is not None or bool(self.failure)


class TestRuns:
    """All runs of this process."""

    __test__ = False

    def __init__(self) -> None:
        self._runs: OrderedDict[str, TestRun] = OrderedDict()

    def start(self, owner: str, check: Callable[[Callable[[Step], None]], Awaitable[CheckReport]]) -> TestRun:
        """Begin ``check``, which tells its steps as it goes."""
        run = TestRun(secrets.token_urlsafe(12), owner)
        self._runs[run.id] = run
        while len(self._runs) > KEPT_MAX:
            _, oldest = self._runs.popitem(last=False)
            if oldest.task is not None:
                oldest.task.cancel()
        run.task = asyncio.create_task(self._run(run, check), name="panel-test")
        return run

    def find(self, run_id: str, owner: str) -> TestRun | None:
        """The run, for the one who started it."""
        run = self._runs.get(run_id)
        return run if run is not None and run.owner == owner else None

    @staticmethod
    async def _run(run: TestRun, check: Callable[[Callable[[Step], None]], Awaitable[CheckReport]]) -> None:
        try:
            run.report = await check(run.steps.append)
        except OperationError as error:
            run.failure = str(error)
        except asyncio.CancelledError:
            run.failure = "The test was broken off: start it again."
            raise
        finally:
            if not run.is_over:
                run.failure = "The test failed inside the server: its log says how."
