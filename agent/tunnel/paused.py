"""A pause as it travels in a hello, beside the store that it holds back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from pydantic import BaseModel, ConfigDict

from agent.pause import REASON_MAX_CHARS, Pause
from agent.tunnel.frame import Moment, Name
from agent.tunnel.text import printable


class Paused(BaseModel):
    """The shop's administrator holds everything back, since when, until when, and why; times are Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    since: Moment
    until: Moment | None = None
    reason: Name = ""

    @classmethod
    def of(cls, pause: Pause | None) -> Self | None:
        """None for none."""
        return cls.model_validate(asdict(pause)) if pause is not None else None

    @property
    def pause(self) -> Pause:
        """With a reason that can be shown, whatever the other side wrote."""
        return Pause(self.since, self.until, printable(self.reason, REASON_MAX_CHARS)[:REASON_MAX_CHARS])
