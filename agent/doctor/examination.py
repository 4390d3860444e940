"""A whole examination, as a person, a script and a support archive get it. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from agent.doctor.finding import Finding
from agent.doctor.report import StepState
from agent.errors import EXIT_FAILURE, EXIT_SETTINGS


@dataclass(frozen=True, slots=True)
class Examination:
    """``findings`` in the order in which they are shown; ``settings_usable`` False: the agent would end with 78."""

    findings: tuple[Finding, ...]
    settings_usable: bool = True
    elapsed_ms: float = 0.0

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What must be mended."""
        return tuple(each for each in self.findings if each.state is StepState.FAILED)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What should be known."""
        return tuple(each for each in self.findings if each.state is StepState.WARNING)

    @property
    def exit_code(self) -> int:
        """0: nothing failed (a warning alone is 0), 1: something did, 78: settings or token cannot be used."""
        if not self.settings_usable:
            return EXIT_SETTINGS
        return EXIT_FAILURE if self.failed else 0

    @property
    def summary(self) -> str:
        """One sentence."""
        counts = Counter(each.state for each in self.findings)
        parts = [f"{counts[state]} {word}" for state, word in _WORDS if counts[state]]
        if not self.failed:
            return f"Nothing failed: {', '.join(parts)}."
        return f"{', '.join(parts)}."

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "ok": not self.failed and self.settings_usable,
            "settings_usable": self.settings_usable,
            "summary": self.summary,
            "elapsed_ms": self.elapsed_ms,
            "findings": [finding.to_json() for finding in self.findings],
        }


_WORDS: Final = (
    (StepState.FAILED, "failed"),
    (StepState.WARNING, "with a warning"),
    (StepState.OK, "well"),
    (StepState.SKIPPED, "not looked at"),
)
