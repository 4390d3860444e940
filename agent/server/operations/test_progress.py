"""One connection test as a task of its own: whoever watches sees each step as it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from agent.doctor.report import Step
from agent.server.operations.checks import ConnectionTest, OnStep
from agent.server.operations.failures import OperationError

Check = Callable[[OnStep], Awaitable[ConnectionTest]]
"""Makes the test, and tells each step as it is done."""

BROKEN_OFF: Final = "The test was broken off: start it again."
FAILED: Final = "The test failed inside the server: its log says how."

_LOG = structlog.get_logger()


class TestProgress:
    """``steps`` so far, then ``test``; or ``failure``, a sentence, with ``refusal`` where an operation refused it."""

    __test__ = False  # the name is the product's, not pytest's

    def __init__(self, check: Check) -> None:
        self.steps: list[Step] = []
        self.test: ConnectionTest | None = None
        self.failure = ""
        self.refusal: OperationError | None = None
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run(check), name="connection-test")

    def __repr__(self) -> str:
        return f"<TestProgress steps={len(self.steps)} over={self.is_over}>"

    @property
    def is_over(self) -> bool:
        """True when nothing more will come."""
        return self.test is not None or bool(self.failure)

    async def news(self, patience_s: float) -> bool:
        """Wait until something came since this was asked last; False when nothing did for ``patience_s``."""
        try:
            async with asyncio.timeout(patience_s):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    async def wait(self) -> None:
        """Until it is over."""
        await asyncio.wait({self._task})

    async def cancel(self) -> None:
        """Break it off, unless it is over; its place is free when this returns."""
        self._task.cancel()
        await self.wait()
        if not self.is_over:  # a task that is cancelled before its first turn never runs
            self.failure = BROKEN_OFF
            self._news.set()

    async def _run(self, check: Check) -> None:
        try:
            self.test = await check(self._step)
        except OperationError as error:
            self.failure, self.refusal = str(error), error
        except asyncio.CancelledError:
            self.failure = BROKEN_OFF
            raise
        except Exception as error:  # noqa: BLE001 - whoever watches must be told, and nobody awaits this task
            self.failure = FAILED
            _LOG.exception("connection.test_failed", error=type(error).__name__)
        finally:
            self._news.set()

    def _step(self, step: Step) -> None:
        self.steps.append(step)
        self._news.set()
