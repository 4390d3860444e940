"""The messages of the control channel: one JSON object per line, at most 64 KiB, both ways.

Unknown message types and unknown fields are ignored, so that either side can be newer. Every value is bounded here;
nothing that a peer sends is used before one of these models accepted it.
"""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import pydantic_core
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_serializer,
    model_validator,
)

from agent.errors import SettingsError
from agent.pause import Pause
from agent.policy import Rule
from agent.store_url import Store, make_store
from agent.tunnel.check_messages import Check, CheckDone, CheckStep
from agent.tunnel.frame import (
    LINE_MAX_BYTES,
    ControlError,
    Frame,
    Identity,
    Name,
    Resource,
    Seconds,
    Sentence,
)
from agent.tunnel.paused import Paused
from agent.tunnel.probe_messages import Measure, MeasureAck

__all__ = [
    "LINE_MAX_BYTES",
    "Bye",
    "Check",
    "CheckDone",
    "CheckStep",
    "ControlError",
    "Drain",
    "Goodbye",
    "Grant",
    "Heartbeat",
    "HeartbeatAck",
    "Hello",
    "Measure",
    "MeasureAck",
    "Message",
    "Paused",
    "Welcome",
]

PROTOCOL: Final = 1
HINT_MAX_S: Final = 300.0
TUNNELS_MAX: Final = 8
STORES_MAX: Final = 512
ROUND_TRIP_MAX_S: Final = 3600.0

Nonce = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32,64}$")]
"""Hexadecimal, so that it can stand in an HTTP field as it is."""


class Goodbye(StrEnum):
    """Why a side leaves; unknown codes of a newer peer become ``OTHER``."""

    SHUTDOWN = "shutdown"
    REPLACED = "replaced"
    PLACE_TAKEN = "place_taken"
    REVOKED = "revoked"
    DISABLED = "disabled"
    PROTOCOL = "protocol"
    SILENT = "silent"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("other") if isinstance(value, str) else None


class Grant(BaseModel):
    """One store that the agent's policy opens, as hello tells it; the store's fields obey ``make_store``.

    ``paused`` is for people to see: the agent itself holds the exchanges back.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    scheme: Annotated[str, StringConstraints(max_length=8)]
    host: Name
    port: int
    base_path: Annotated[str, StringConstraints(max_length=1024)]
    virtual_uri: Name = ""
    id_shop: Name = ""
    methods: frozenset[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]]
    resources: Annotated[frozenset[Resource], Field(max_length=256)] | None = None
    paused: Paused | None = None

    @model_validator(mode="after")
    def _store_is_canonical(self) -> Self:
        try:
            self._store()
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return self

    @classmethod
    def from_rule(cls, rule: Rule, pause: Pause | None = None) -> Grant:
        """What hello says about ``rule``, and about the pause of its store."""
        values = {**dataclasses.asdict(rule.store), "methods": rule.methods, "resources": rule.resources}
        return cls.model_validate(values | {"paused": Paused.of(pause)})

    def to_rule(self) -> Rule:
        """The rule; equal to the one that ``from_rule`` was given."""
        return Rule(self._store(), frozenset(self.methods), self.resources)

    def _store(self) -> Store:
        return make_store(self.scheme, self.host, self.port, self.base_path, self.virtual_uri, self.id_shop)


class Hello(Frame):
    """Agent to server, first message; sent again when the agent's settings were reloaded (same identity)."""

    type: Literal["hello"] = "hello"
    protocol: Annotated[int, Field(ge=1, le=65535)] = PROTOCOL
    version: Name
    instance_id: Identity
    tunnel_index: Annotated[int, Field(ge=0, lt=TUNNELS_MAX)] = 0
    host: Name = ""
    kind: Literal["agent", "probe"] = "agent"
    nonce: Nonce = "0" * 32
    features: Annotated[list[Name], Field(max_length=32)] = Field(default_factory=list)
    stores: Annotated[list[Grant], Field(max_length=STORES_MAX)] = Field(default_factory=list)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What the agent's policy opens."""
        return tuple(grant.to_rule() for grant in self.stores)

    @property
    def paused(self) -> dict[Store, Pause]:
        """What the shop's administrator holds back of it."""
        return {grant.to_rule().store: grant.paused.pause for grant in self.stores if grant.paused is not None}

    @field_serializer("stores")
    def _short(self, stores: list[Grant]) -> list[dict[str, Any]]:
        """Without what is at its default: else 512 ordinary stores would not fit into one line."""
        return [grant.model_dump(mode="json", exclude_defaults=True) for grant in stores]


def hello_size_bytes(stores: list[Grant]) -> int:
    """The line of the longest hello that names these stores."""
    longest = Hello(
        version="v" * 64, instance_id="i" * 64, tunnel_index=TUNNELS_MAX - 1, host="h" * 255, nonce="0" * 64
    )
    named = longest.model_copy(update={"stores": stores})
    return len(named.model_dump_json().encode("utf-8")) + 1


class Welcome(Frame):
    """Server to agent: the hello is accepted. ``next_pins`` announces host keys that the server will change to.

    ``unix_time_s`` is the server's clock, None from a server of before; nothing but a probe looks at it.
    """

    type: Literal["welcome"] = "welcome"
    protocol: Annotated[int, Field(ge=1, le=65535)] = PROTOCOL
    version: Name = ""
    heartbeat_interval_s: Seconds = 10.0
    next_pins: Annotated[list[Name], Field(max_length=4)] = Field(default_factory=list)
    unix_time_s: Annotated[float, Field(ge=0, le=1e12)] | None = None

    INTERVAL_MIN_S: ClassVar[float] = 0.25
    INTERVAL_MAX_S: ClassVar[float] = 60.0

    @property
    def interval_s(self) -> float:
        """The heartbeat interval, clamped to 0.25-60 s: a server can neither flood nor silence the agent."""
        return min(max(self.heartbeat_interval_s, self.INTERVAL_MIN_S), self.INTERVAL_MAX_S)


class Heartbeat(Frame):
    """Agent to server, when nothing else was said for an interval; with the round trip that the last one took."""

    type: Literal["heartbeat"] = "heartbeat"
    sequence: Annotated[int, Field(ge=0, lt=2**53)] = 0
    round_trip_s: Annotated[float, Field(ge=0, le=ROUND_TRIP_MAX_S)] | None = None

    @classmethod
    def with_round_trip(cls, sequence: int, measured_s: float | None) -> Self:
        """With what was measured, at most an hour; None: nothing was measured yet."""
        bounded_s = None if measured_s is None else min(max(measured_s, 0.0), ROUND_TRIP_MAX_S)
        return cls(sequence=sequence, round_trip_s=bounded_s)


class HeartbeatAck(Frame):
    """Server to agent, at once; ``sequence`` is that of the heartbeat."""

    type: Literal["heartbeat_ack"] = "heartbeat_ack"
    sequence: Annotated[int, Field(ge=0, lt=2**53)] = 0


class Drain(Frame):
    """Either side: I finish what runs, give me nothing new. Answered by a drain with ``ack`` set.

    What was sent before the answer has then arrived (SSH keeps the order), so that the side which drains knows that
    nothing more is on its way. With ``soft`` (not answered): I leave when what runs has ended, give me something new
    only when nobody else can take it; a server that does not know ``soft`` reads the other one, which is safe.
    """

    type: Literal["drain"] = "drain"
    ack: bool = False
    soft: bool = False
    reason: Sentence = ""
    retry_after_s: Seconds | None = None

    @property
    def hint_s(self) -> float | None:
        """``retry_after_s`` clamped to 300 s."""
        return clamp_hint_s(self.retry_after_s)


class Bye(Frame):
    """Either side: the connection ends now, and why. The receiver closes; the sender waits for that a moment."""

    type: Literal["bye"] = "bye"
    code: Annotated[str, StringConstraints(max_length=64)] = Goodbye.OTHER.value
    reason: Sentence = ""
    retry_after_s: Seconds | None = None

    @property
    def goodbye(self) -> Goodbye:
        """``code`` as one of ours."""
        return Goodbye(self.code)

    @property
    def hint_s(self) -> float | None:
        """``retry_after_s`` clamped to 300 s."""
        return clamp_hint_s(self.retry_after_s)


Message = (
    Hello | Welcome | Heartbeat | HeartbeatAck | Drain | Bye | Check | CheckStep | CheckDone | Measure | MeasureAck
)
_MODELS: Final[dict[str, type[Message]]] = {
    "hello": Hello,
    "welcome": Welcome,
    "heartbeat": Heartbeat,
    "heartbeat_ack": HeartbeatAck,
    "drain": Drain,
    "bye": Bye,
    "check": Check,
    "check_step": CheckStep,
    "check_done": CheckDone,
    "measure": Measure,
    "measure_ack": MeasureAck,
}


def decode(line: bytes) -> Message | None:
    """Read one line without its line feed; None for a message type that this version does not know.

    Raises ``ControlError`` when it is no JSON object with a ``type``, or breaks the model of that type.
    """
    try:
        content = pydantic_core.from_json(line, allow_inf_nan=False)
    except ValueError:
        raise ControlError("A control message is not JSON.") from None
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise ControlError("A control message is not a JSON object with a type.")
    model = _MODELS.get(kind)
    if model is None:
        return None
    try:
        return model.model_validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ControlError(f"The {kind} message has a wrong value at {place}.") from None


def clamp_hint_s(hint_s: float | None) -> float | None:
    """A server's hint to wait, at most 300 s."""
    return None if hint_s is None else min(max(hint_s, 0.0), HINT_MAX_S)
