"""The audit trail, as the API gives it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from agent.server.operations.records import AuditEntry


class AuditShown(BaseModel):
    """One line of the audit trail."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditShown:
        """As shown."""
        return cls(
            id=entry.id,
            at=datetime.fromtimestamp(entry.at, UTC),
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=dict(entry.detail),
        )
