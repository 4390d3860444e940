"""Tests of connections that a page is watching: each runs as a task, and its page asks how far it is."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.doctor.report import CheckReport, Step
from agent.server.operations.test_progress import Check, TestProgress

KEPT_MAX: Final = 50
"""Runs that are remembered: those that nobody asks for any more are forgotten, the oldest first."""


@dataclass(frozen=True, slots=True)
class TestRun:
    """One test as its page shows it. ``owner`` is who may look at it; ``refusal``: it was not begun, and why."""

    __test__ = False  # the name is the product's, not pytest's

    id: str = ""
    owner: str = ""
    progress: TestProgress | None = None
    refusal: str = ""

    @property
    def steps(self) -> Sequence[Step]:
        """So far."""
        return self.progress.steps if self.progress is not None else ()

    @property
    def report(self) -> CheckReport | None:
        """The whole, when it is over."""
        test = self.progress.test if self.progress is not None else None
        return test.report if test is not None else None

    @property
    def failure(self) -> str:
        """Why there will be no report."""
        return self.progress.failure if self.progress is not None else self.refusal

    @property
    def is_over(self) -> bool:
        """True when nothing more will come."""
        return self.progress is None or self.progress.is_over

    async def wait(self) -> None:
        """Until it is over."""
        if self.progress is not None:
            await self.progress.wait()


class TestRuns:
    """All runs of this process."""

    __test__ = False

    def __init__(self) -> None:
        self._runs: OrderedDict[str, TestRun] = OrderedDict()

    async def start(self, owner: str, check: Check) -> TestRun:
        """Begin ``check``, which tells its steps as it goes."""
        run = TestRun(secrets.token_urlsafe(12), owner, TestProgress(check))
        self._runs[run.id] = run
        while len(self._runs) > KEPT_MAX:
            _, oldest = self._runs.popitem(last=False)
            if oldest.progress is not None:
                await oldest.progress.cancel()
        return run

    def find(self, run_id: str, owner: str) -> TestRun | None:
        """The run, for the one who started it."""
        run = self._runs.get(run_id)
        return run if run is not None and run.owner == owner else None
