"""The test at the end of an enrolment: is every store there, as an exchange would find it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agent.checkup.run import run_checkup
from agent.doctor.report import StepState
from agent.opening import Opening
from agent.settings import TimeoutSettings

Say = Callable[[str, str], None]
"""Takes a name and its text."""


async def examine_stores(openings: Sequence[Opening], timeouts: TimeoutSettings, say: Say) -> list[dict[str, Any]]:
    """Check one store after the other, each for at most 30 s, telling what was found; the reports for scripts."""
    reports = []
    for opening in openings:
        say("Test", opening.store.webservice_url)
        report = await run_checkup(
            opening.check_plan(timeouts),
            lambda step: (
                None
                if step.state is StepState.SKIPPED
                else say(f"  {step.layer.value}", _shown(step.state, step.finding))
            ),
        )
        if not report.ok:
            say("  to do", report.remedy)
        reports.append(
            {
                "store": str(opening.store),
                "ok": report.ok,
                "verdict": report.verdict,
                "finding": report.finding,
                "remedy": report.remedy,
            }
        )
    return reports


def _shown(state: StepState, finding: str) -> str:
    return finding if state is StepState.OK else f"{state.value.upper()}: {finding}"
