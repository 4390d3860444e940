"""A report from one answer through the path, where nobody can look layer by layer: plain ssh, or an older agent."""

from __future__ import annotations

from typing import Final

from agent.doctor.answer import ProbeAnswer
from agent.doctor.diagnose import diagnose
from agent.doctor.diagnosis import Question
from agent.doctor.layers import layer_of
from agent.doctor.permissions import read_permissions
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.server.routes import Route

_LAYERS: Final = (Layer.DNS, Layer.TCP, Layer.TLS, Layer.HTTP, Layer.WEBSERVICE, Layer.KEY, Layer.PERMISSIONS)
_UNSEEN: Final = frozenset({Layer.DNS, Layer.TCP, Layer.TLS})


def report_from_answer(answer: ProbeAnswer, route: Route) -> CheckReport:
    """What the answer to ``GET <shop>/api/`` with the real key tells of each layer."""
    diagnosis = diagnose(answer, Question(route.store, route.mode, route.key_in, route.shop_host))
    elapsed_ms = round(answer.elapsed_s * 1000, 1)
    failing = None if diagnosis.ok else layer_of(diagnosis.verdict)
    steps: list[Step] = []
    for layer in () if failing in (Layer.AGENT, Layer.POLICY) else _LAYERS:
        if layer is failing:
            break
        steps.append(_passed(layer, failing, route))
    if failing is not None:
        step = Step(failing, StepState.FAILED, diagnosis.finding, diagnosis.remedy, diagnosis.verdict, elapsed_ms)
        steps.append(step)
    return CheckReport(
        ok=diagnosis.ok,
        verdict=diagnosis.verdict,
        finding=diagnosis.finding,
        remedy=diagnosis.remedy,
        steps=tuple(steps),
        version=diagnosis.version,
        permissions=read_permissions(answer.body) if diagnosis.ok else None,
        elapsed_ms=elapsed_ms,
    )


def _passed(layer: Layer, failing: Layer | None, route: Route) -> Step:
    """A layer that is not the one that failed."""
    if layer is Layer.TLS and route.store.scheme == "http":
        return Step(layer, StepState.SKIPPED, "The store is reached over plain http.")
    if layer in _UNSEEN:
        came = "" if failing in _UNSEEN else "; the answer came through it"
        return Step(layer, StepState.SKIPPED, f"Not visible from here{came}.")
    return Step(layer, StepState.OK, "As it should be, by the answer of the webservice.")
