"""Connection tests, as the API gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.server.operations.checks import ConnectionTest
from agent.server.operations.test_history import TestRecord


class StepShown(BaseModel):
    """One layer; ``verdict`` is a stable name, empty when all is well."""

    layer: Layer
    state: StepState
    verdict: str
    finding: str
    remedy: str
    elapsed_ms: float
    facts: dict[str, str | int | float | bool]

    @classmethod
    def of(cls, step: Step) -> StepShown:
        """As shown."""
        return cls(
            layer=step.layer,
            state=step.state,
            verdict=step.verdict,
            finding=step.finding,
            remedy=step.remedy,
            elapsed_ms=step.elapsed_ms,
            facts=dict(step.facts),
        )


class ReportShown(BaseModel):
    """A test, layer by layer up to the first that failed."""

    ok: bool
    verdict: str = Field(description="stable name; ok, or that of the layer that failed")
    finding: str
    remedy: str
    steps: list[StepShown]
    prestashop_version: str | None
    resource_count: int | None = Field(description="resources that are open to the key")
    permissions: dict[str, list[str]] | None = Field(description="resource -> methods that the key has there")
    certificate_ends_at: datetime | None
    elapsed_ms: float

    @classmethod
    def members(cls, report: CheckReport) -> dict[str, object]:
        """What both shapes share."""
        permissions = report.permissions
        return {
            "ok": report.ok,
            "verdict": report.verdict,
            "finding": report.finding,
            "remedy": report.remedy,
            "steps": [StepShown.of(step) for step in report.steps],
            "prestashop_version": report.version,
            "resource_count": sum(map(bool, permissions.values())) if permissions is not None else None,
            "permissions": {name: list(methods) for name, methods in permissions.items()}
            if permissions
            else permissions,
            "certificate_ends_at": report.certificate_ends_at,
            "elapsed_ms": report.elapsed_ms,
        }


class ConnectionTested(ReportShown):
    """The outcome of a connection test; id and slug are empty for one that is not saved."""

    connection_id: str
    slug: str

    @classmethod
    def of(cls, test: ConnectionTest) -> ConnectionTested:
        """As shown."""
        return cls.model_validate({"connection_id": test.connection_id, "slug": test.slug, **cls.members(test.report)})


class TestShown(ReportShown):
    """One test of the history."""

    __test__ = False  # the name is the product's, not pytest's

    id: int
    at: datetime
    cause: Literal["person", "schedule", "tunnel"]

    @classmethod
    def of(cls, record: TestRecord) -> TestShown:
        """As shown."""
        return cls.model_validate(
            {"id": record.id, "at": record.at, "cause": record.cause, **cls.members(record.report)}
        )
