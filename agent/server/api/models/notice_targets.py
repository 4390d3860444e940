"""Notice targets, as the API takes and gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from agent.server.api.models.fields import Asked, Name
from agent.server.operations.notice_address import URL_MAX_CHARS
from agent.server.operations.notice_targets import NoticeTarget, TargetTest, TargetWish
from agent.server.operations.notices import NoticeEvent

Kind = Literal["webhook", "email"]
Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URL_MAX_CHARS,
        description="an https URL, of which only scheme, host and port are ever shown again; or an e-mail address",
    ),
]
Events = Annotated[list[NoticeEvent] | None, Field(description="null = every event")]


class NoticeTargetAsked(Asked):
    """A new target."""

    name: Name
    kind: Kind
    address: Address
    events: Events = None
    enabled: bool = True

    def wish(self) -> TargetWish:
        """As the operation takes it."""
        return TargetWish(**self.model_dump())


class NoticeTargetEdited(Asked):
    """What changes of a target: what is left out stays as it is. The kind stays in any case."""

    name: Name = ""
    address: Address = ""
    events: Events = None
    enabled: bool = True

    def changes(self) -> dict[str, Any]:
        """What was given; no default of a field is in it."""
        return self.model_dump(exclude_unset=True)


class NoticeTargetShown(BaseModel):
    """A target, without its secret."""

    id: str
    name: str
    kind: Kind
    address_shown: str = Field(description="an e-mail address; of a webhook only https://host[:port]")
    events: list[str] | None = Field(description="null = every event")
    enabled: bool
    created_at: datetime
    updated_at: datetime
    delivered_at: datetime | None = Field(description="when a notice last arrived")
    error: str | None = Field(description="why the newest attempt failed; null when it did not")
    waiting: int = Field(ge=0, description="notices that are still to be delivered")

    @classmethod
    def of(cls, target: NoticeTarget) -> NoticeTargetShown:
        """As shown."""
        return cls(**asdict(target))


class NoticeTargetWithSecret(BaseModel):
    """The only time that the secret is shown."""

    target: NoticeTargetShown
    signing_secret: str | None = Field(description="signs the bodies of a webhook (Standard Webhooks); null for e-mail")


class NoticeTargetTested(BaseModel):
    """What came of a test notice."""

    ok: bool
    error: str | None
    elapsed_ms: float

    @classmethod
    def of(cls, test: TargetTest) -> NoticeTargetTested:
        """As shown."""
        return cls(ok=test.ok, error=test.error, elapsed_ms=test.elapsed_ms)
