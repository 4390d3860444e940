"""The messages by which a probe measures the way to its server: bytes go there, a word comes back."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from agent.tunnel.frame import Frame

PADDING_MAX_CHARS: Final = 16 * 1024

Sequence = Annotated[int, Field(ge=0, lt=2**53)]


class Measure(Frame):
    """Probe to server: bytes that mean nothing. Only a probe is answered; a server of before ignores it."""

    type: Literal["measure"] = "measure"
    sequence: Sequence = 0
    padding: Annotated[str, StringConstraints(max_length=PADDING_MAX_CHARS), Field(repr=False)] = ""


class MeasureAck(Frame):
    """Server to probe, at once: the whole message with this ``sequence`` has arrived."""

    type: Literal["measure_ack"] = "measure_ack"
    sequence: Sequence = 0
