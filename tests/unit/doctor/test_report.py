"""A report of a check survives the way through JSON."""

from __future__ import annotations

import json

from agent.doctor.report import CheckReport, Layer, Step, StepState


def test_a_report_comes_back_from_json_as_it_was() -> None:
    steps = (
        Step(Layer.TCP, StepState.OK, "connected", elapsed_ms=1.5, facts={"address": "192.0.2.1"}),
        Step(Layer.TLS, StepState.FAILED, "refused", "renew it", "store_tls_failed", 3.0),
    )
    report = CheckReport(
        ok=False,
        verdict="store_tls_failed",
        finding="refused",
        remedy="renew it",
        steps=steps,
        version="8.2.4",
        permissions={"products": ("GET", "HEAD")},
        certificate_ends_at=1.0,
        elapsed_ms=4.5,
    )
    assert CheckReport.from_json(json.loads(json.dumps(report.to_json()))) == report
