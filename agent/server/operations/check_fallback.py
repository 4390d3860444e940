"""A report from one answer through the path, where nobody can look layer by layer: plain ssh, or an older agent."""

from __future__ import annotations

from typing import Final

from agent.doctor.answer import ProbeAnswer
from agent.doctor.diagnosis import diagnose
from agent.doctor.layers import layer_of
from agent.doctor.permissions import read_permissions
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.server.routes import Route

_LAYERS: Final = (Layer.DNS, Layer.TCP, Layer.TLS, Layer.HTTP, Layer.WEBSERVICE, Layer.KEY, Layer.PERMISSIONS)
_UNSEEN: Final = frozenset({Layer.DNS, Layer.TCP, Layer.TLS})


def report_from_answer(answer: ProbeAnswer, route: Route) -> CheckReport:
    """What the answer to ``GET <shop>/api/`` with the real key tells of each layer."""
    diagnosis = diagnose(answer, route.store, route.shop_host, route.mode)
    elapsed_ms = round(answer.elapsed_s * 1000, 1)
    failing = None if diagnosis.ok else layer_of(diagnosis.verdict)
    steps: list[Step] = []
    if failing in (Layer.AGENT, Layer.POLICY):
        steps.append(_failed(failing, diagnosis.finding, diagnosis.remedy, diagnosis.verdict, elapsed_ms))
    else:
        for layer in _LAYERS:
            if layer is failing:
                steps.append(_failed(layer, diagnosis.finding, diagnosis.remedy, diagnosis.verdict, elapsed_ms))
                break
            if layer in _UNSEEN:
                steps.append(Step(layer, StepState.SKIPPED, "Not visible from here; the answer came through it."))
            else:
                steps.append(Step(layer, StepState.OK, "As it should be, by the answer of the webservice."))
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


def _failed(layer: Layer, finding: str, remedy: str, verdict: str, elapsed_ms: float) -> Step:
    return Step(layer, StepState.FAILED, finding, remedy, verdict, elapsed_ms)
