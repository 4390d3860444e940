"""Where one subject's findings go, each timed from the one before."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.doctor.causes import hidden_by, not_looked_at
from agent.doctor.finding import Facts, Finding, OwnLayer, Subject
from agent.doctor.report import StepState

Tell = Callable[[Finding], None]


class LayerStopError(Exception):
    """A layer failed, and was told: nothing that needs it is looked at."""


class Notes:
    """The findings about one subject. Times count from the last finding, or from ``begin``."""

    def __init__(self, subject: Subject, name: str, tell: Tell) -> None:
        self.subject = subject
        self.name = name
        self.tell = tell
        self._began = time.monotonic()

    def begin(self) -> None:
        """What is looked at next begins now."""
        self._began = time.monotonic()

    def ok(self, layer: OwnLayer, finding: str, *, facts: Facts | None = None, elapsed_ms: float | None = None) -> None:
        """All is well."""
        self._tell(layer, StepState.OK, finding, facts=facts, elapsed_ms=elapsed_ms)

    def skipped(self, layer: OwnLayer, finding: str) -> None:
        """It does not apply here, or cannot be seen."""
        self._tell(layer, StepState.SKIPPED, finding)

    def warning(self, layer: OwnLayer, verdict: str, finding: str, remedy: str, *, facts: Facts | None = None) -> None:
        """It works, and should be known."""
        self._tell(layer, StepState.WARNING, finding, remedy, verdict, facts=facts)

    def failed(self, layer: OwnLayer, verdict: str, finding: str, remedy: str, *, facts: Facts | None = None) -> None:
        """It does not work; what needs it becomes one line."""
        self._tell(layer, StepState.FAILED, finding, remedy, verdict, facts=facts)
        if self.subject is Subject.SERVER:
            rest = not_looked_at(self.subject, self.name, layer, hidden_by(layer))
            if rest is not None:
                self.tell(rest)

    def stop(self, layer: OwnLayer, verdict: str, finding: str, remedy: str) -> LayerStopError:
        """``failed``, and what to raise then."""
        self.failed(layer, verdict, finding, remedy)
        return LayerStopError(verdict)

    def _tell(
        self,
        layer: OwnLayer,
        state: StepState,
        finding: str,
        remedy: str = "",
        verdict: str = "",
        *,
        facts: Facts | None = None,
        elapsed_ms: float | None = None,
    ) -> None:
        now = time.monotonic()
        spent_ms = (now - self._began) * 1000 if elapsed_ms is None else elapsed_ms
        self._began = now
        self.tell(
            Finding(
                self.subject,
                self.name,
                layer,
                state,
                finding,
                remedy,
                verdict,
                round(max(spent_ms, 0.0), 1),
                facts or {},
            )
        )
