"""The test at the end of an enrolment: what the doctor finds of the server and of every store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from agent.doctor.examination import Examination
from agent.doctor.finding import Finding, OwnLayer, Subject
from agent.doctor.report import StepState

# The service may not run yet, and has not to.
_OF_THIS_MACHINE = frozenset({OwnLayer.SETTINGS, OwnLayer.TOKEN, OwnLayer.STATE})


async def examine_enrolled(
    config: Path, environ: Mapping[str, str], *, is_root: bool, on_finding: Callable[[Finding], None]
) -> Examination:
    """Log in at each server as a probe, which never serves, and ask each store with a key that does not exist.

    What is well on this machine is left out, and so is what concerns a service that need not run yet.
    """
    from agent.examination.examine import examine

    def tell(finding: Finding) -> None:
        if _concerns(finding):
            on_finding(finding)

    found = await examine(config, environ, {}, is_root=is_root, on_finding=tell)
    return Examination(
        tuple(filter(_concerns, found.findings)), settings_usable=found.settings_usable, elapsed_ms=found.elapsed_ms
    )


def _concerns(finding: Finding) -> bool:
    if finding.subject is not Subject.MACHINE:
        return True
    return finding.layer in _OF_THIS_MACHINE and finding.state in (StepState.FAILED, StepState.WARNING)
