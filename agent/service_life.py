"""What a running service tells its manager: a sentence that is true now, and a sign of life while it makes progress."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

import structlog

from agent.systemd import ServiceNotifier

LOOK_EVERY_S: Final = 1.0
LOOKS_UNTIL_STUCK: Final = 3
"""After a stall everything is late for a moment: only what is stuck look after look is."""

_log = structlog.get_logger()


class ServiceLife:
    """Between ``ready`` and the end of the block the sentence is told once a second where it changed.

    Where something is stuck the watchdog is not fed, so that the manager ends this process and starts another one. A
    loop that does not turn feeds nothing either.
    """

    def __init__(self, manager: ServiceNotifier, look_every_s: float = LOOK_EVERY_S) -> None:
        self._manager = manager
        self._sentence: Callable[[], str] = str
        self._stuck: Callable[[], str] = str
        watchdog_s = manager.watchdog_s
        self._pause_s = look_every_s if watchdog_s is None else min(look_every_s, watchdog_s / 4)
        self._told = ""
        self._fed_at = float("-inf")
        self._stuck_looks = 0
        self._looking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<ServiceLife {self._told!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def ready(self, sentence: Callable[[], str], stuck: Callable[[], str]) -> None:
        """The start is done. ``stuck()`` names what makes no progress any more, "" when all is well."""
        if not self._manager.is_there:
            return
        if self._manager.watchdog_s is not None:
            with contextlib.suppress(OSError, ValueError, RuntimeError):  # no standard error, or not a real one
                faulthandler.enable()  # the manager's SIGABRT then leaves in the log where this process stood
        self._sentence, self._stuck = sentence, stuck
        self._told = sentence()
        self._manager.ready(self._told)
        self._looking = asyncio.create_task(self._look_on(), name="service-life")

    def stopping(self) -> None:
        """The end has begun: what is not there any more is not stuck, and the manager's own limit bounds the rest."""
        self._stuck = str
        self._told = self._sentence()
        self._manager.stopping(self._told)

    async def _look_on(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a defect in a sentence must not look like a dead service
                _log.exception("service.look_failed", error=type(error).__name__)
            await asyncio.sleep(self._pause_s)

    def look(self) -> None:
        """Tell what changed, and that this process lives."""
        if self._makes_progress():
            self._feed()
        sentence = self._sentence()
        if sentence != self._told:
            self._told = sentence
            self._manager.status(sentence)

    def _makes_progress(self) -> bool:
        what = self._stuck()
        self._stuck_looks = self._stuck_looks + 1 if what else 0
        if self._stuck_looks == LOOKS_UNTIL_STUCK:
            _log.error("watchdog.not_fed", stuck=what, watchdog_s=self._manager.watchdog_s)
        return self._stuck_looks < LOOKS_UNTIL_STUCK

    def _feed(self) -> None:
        now, watchdog_s = asyncio.get_running_loop().time(), self._manager.watchdog_s
        if watchdog_s is not None and now - self._fed_at >= watchdog_s / 4:
            self._fed_at = now
            self._manager.alive()


def first_dead(tasks: Iterable[asyncio.Task[None]]) -> str:
    """The name of one that ended by an error or was cancelled, "" when there is none."""
    return next((task.get_name() for task in tasks if task.done() and (task.cancelled() or task.exception())), "")
