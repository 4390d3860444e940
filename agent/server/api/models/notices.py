"""Notices, as the API gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from agent.server.operations.notices import Delivery, Notice

DeliveryState = Literal["waiting", "delivered", "given up"]


class DeliveryShown(BaseModel):
    """How far a notice came with one target."""

    target: str
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryShown:
        """As shown."""
        ended: DeliveryState = "delivered" if delivery.delivered_at is not None else "given up"
        return cls(
            target=delivery.target,
            state="waiting" if delivery.next_at is not None else ended,
            attempts=delivery.attempts,
            next_at=_moment(delivery.next_at),
            delivered_at=_moment(delivery.delivered_at),
            error=delivery.error,
        )


class NoticeShown(BaseModel):
    """One notice."""

    id: int
    at: datetime
    event: str
    subject: str = Field(description="agent/ID or connection/ID; it never changes, whatever is renamed")
    sentence: str
    detail: dict[str, Any]
    deliveries: list[DeliveryShown]

    @classmethod
    def of(cls, notice: Notice) -> NoticeShown:
        """As shown."""
        return cls(
            id=notice.id,
            at=datetime.fromtimestamp(notice.at, UTC),
            event=notice.event,
            subject=notice.subject,
            sentence=notice.sentence,
            detail=notice.detail,
            deliveries=[DeliveryShown.of(each) for each in notice.deliveries],
        )


def _moment(at: float | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at is not None else None
