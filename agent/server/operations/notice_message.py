"""One notice on its way to one target, and what can come of it. Pure: what sends it is not known here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Literal

from agent.errors import AgentError

TargetKind = Literal["webhook", "email"]
TEST_EVENT: Final = "test"
ERROR_MAX_CHARS: Final = 300  # the column notice_deliveries.error


@dataclass(frozen=True, slots=True)
class NoticeMessage:
    """A notice as it is sent; ``at`` is unix time, ``id`` is 0 for a test.

    ``key`` is the same at every attempt and never given again, not even after a restore: receivers know repeats by it.
    """

    key: str
    id: int
    event: str
    at: float
    subject: str
    sentence: str
    detail: Mapping[str, Any]

    @property
    def moment(self) -> str:
        """``at`` as ISO 8601 in UTC, to the second."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def name(self) -> str:
        """The name of what the notice is about, as people know it; else its subject."""
        return str(self.detail.get("name") or self.detail.get("slug") or self.subject)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to send: ``address`` is the whole URL or the e-mail address, ``secret`` signs a webhook's body."""

    kind: TargetKind
    address: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


class Verdict(Enum):
    """What a failed attempt means for what comes next."""

    RETRY = "retry"
    """Try again later: the network, the receiver, or settings that a person will correct."""
    REFUSED = "refused"
    """The receiver will never take this notice; the next one may pass."""
    GONE = "gone"
    """The receiver wants no notice any more (HTTP 410): the target is switched off."""


class NotDeliveredError(AgentError):
    """An attempt failed; ``str(error)`` is one sentence without path, query, password or words of the remote."""

    def __init__(self, sentence: str, verdict: Verdict = Verdict.RETRY) -> None:
        super().__init__(sentence)
        self.verdict = verdict


SendNotice = Callable[[Destination, NoticeMessage], Awaitable[None]]
"""Sends once, within a bounded time. Raises NotDeliveredError."""
