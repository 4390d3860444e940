"""Live exchanges and the numbers of the last hour, as the API gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from pydantic import BaseModel, Field

from agent.server.traffic import ExchangeEntry, Minute


class ExchangeShown(BaseModel):
    """One finished exchange; its path has the names of parameters and no values."""

    number: int
    at: datetime
    request_id: str
    connection: str = Field(description="slug; empty when none was found")
    client_key_id: str
    method: str
    target: str
    status: int = Field(description="0: nobody could be answered any more")
    answered_by: str
    error: str = Field(description="a name of the error contract, client_gone, or empty")
    total_ms: float
    waited_ms: float | None = Field(description="until it was handed to a channel")
    tunnel_ms: float | None = Field(description="the tunnel's round trip, as the agent measured it last")
    store_ms: float | None = Field(description="an estimate: what is left until the first byte of the answer")
    bytes_up: int
    bytes_down: int
    trace_id: str = Field(description="of the caller's traceparent; empty without one")

    @classmethod
    def of(cls, entry: ExchangeEntry) -> ExchangeShown:
        """As shown."""
        found = entry._asdict()
        return cls(client_key_id=found.pop("key_id"), **found)


class MinuteShown(BaseModel):
    """What ended in one minute; times are medians."""

    began_at: datetime
    requests: int
    errors: int
    tunnel_ms: float | None
    store_ms: float | None

    @classmethod
    def of(cls, minute: Minute) -> MinuteShown:
        """As shown."""
        return cls(**asdict(minute))


class TrafficShown(BaseModel):
    """The gateway's numbers since its start, and minute by minute for an hour."""

    total: int
    errors: int
    last_5_minutes: MinuteShown
    minutes: list[MinuteShown]
