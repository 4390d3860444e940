"""What an examination finds, line by line: of this machine, of each server, of each store. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from agent.doctor.layers import KNOWN_VERDICTS, layer_of
from agent.doctor.report import Layer, Step, StepState
from agent.tunnel.text import printable

Facts = Mapping[str, str | int | float | bool]


class OwnLayer(StrEnum):
    """What is looked at besides the layers of a store: first this machine, then the way to a server."""

    SETTINGS = "settings"
    TOKEN = "token"  # noqa: S105 - a layer's name
    STATE = "state"
    PROCESS = "process"
    SERVICE = "service"
    OPEN_FILES = "open_files"
    VERSIONS = "versions"
    PROXY = "proxy"
    DNS = "dns"
    TCP = "tcp"
    GREETING = "greeting"
    HOST_KEY = "host_key"
    LOGIN = "login"
    CONTROL = "control"
    CLOCK = "clock"
    ROUND_TRIP = "round_trip"
    THROUGHPUT = "throughput"


class Subject(StrEnum):
    """Whom a finding is about."""

    MACHINE = "machine"
    SERVER = "server"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of an examination; the fields that a ``Step`` has, too, mean the same.

    ``name`` is which server (``host:port``) or store (its webservice's address), "" for this machine. ``hides`` are
    the layers that were not looked at because of an earlier finding; such a line is ``skipped``. Neither texts nor
    facts ever hold a secret, and what another side wrote into them is printable.
    """

    subject: Subject
    name: str
    layer: OwnLayer | Layer
    state: StepState
    finding: str
    remedy: str = ""
    verdict: str = ""
    elapsed_ms: float = 0.0
    facts: Facts = field(default_factory=dict)
    hides: tuple[OwnLayer | Layer, ...] = ()

    @classmethod
    def of_step(cls, store: str, step: Step) -> Finding:
        """A step of a store's check."""
        return cls(
            Subject.STORE,
            store,
            step.layer,
            step.state,
            printable(step.finding, 1000),
            printable(step.remedy, 1000),
            step.verdict,
            step.elapsed_ms,
            step.facts,
        )

    @property
    def more(self) -> str:
        """The place in docs/ that says more; "" when all is well."""
        if not self.verdict:
            return ""
        if self.subject is Subject.STORE and self.verdict in KNOWN_VERDICTS:
            return f"connection-test.md#{layer_of(self.verdict).value}"
        return f"troubleshooting.md#{self.verdict}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "hides": list(self.hides), "more": self.more}
