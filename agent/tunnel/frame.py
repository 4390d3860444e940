"""What all messages of the control channel share: their bounds, their line, the error of a peer that breaks them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agent.errors import AgentError

LINE_MAX_BYTES: Final = 64 * 1024

Name = Annotated[str, StringConstraints(max_length=255)]
Sentence = Annotated[str, StringConstraints(max_length=1000)]
Resource = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Moment = Annotated[float, Field(ge=0, lt=253370764800)]  # Unix seconds before the year 9999
Identity = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class ControlError(AgentError):
    """The other side of the control channel broke the protocol: oversize line, no JSON, wrong values, no hello."""


class Frame(BaseModel):
    """What all messages share: frozen, unknown fields ignored, no NaN."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)
    type: str

    def encode(self) -> bytes:
        """The line, with its line feed. Raises ``ControlError`` when it is over 64 KiB (hello with too many stores)."""
        line = self.model_dump_json().encode("utf-8") + b"\n"
        if len(line) > LINE_MAX_BYTES:
            raise ControlError(
                f"The {self.type} message is {len(line)} bytes, over the limit of {LINE_MAX_BYTES}:"
                " list fewer stores or resources in the agent's settings."
            )
        return line
