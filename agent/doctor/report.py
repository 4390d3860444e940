"""What a layered check of a store found: step by step, up to the first that failed. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Layer(StrEnum):
    """The layers between a connection and its store, in the order in which they are looked at."""

    AGENT = "agent"
    POLICY = "policy"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"
    WEBSERVICE = "webservice"
    KEY = "key"
    PERMISSIONS = "permissions"


class StepState(StrEnum):
    """How one layer did. ``skipped``: it does not apply here (no TLS on http, no agent in mode Cloud)."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One layer. ``verdict`` is a stable name ("" when all is well); ``facts`` are short texts and numbers to show.

    Neither finding, remedy nor facts ever hold a key, a token or bytes of a body.
    """

    layer: Layer
    state: StepState
    finding: str
    remedy: str = ""
    verdict: str = ""
    elapsed_ms: float = 0.0
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A whole check. ``verdict`` is ``ok``, or that of the step that failed, whose finding and remedy are repeated.

    ``permissions``: resource -> the methods that the key has there, None when it did not come so far.
    ``certificate_ends_at`` is unix time.
    """

    ok: bool
    verdict: str
    finding: str
    remedy: str
    steps: tuple[Step, ...]
    version: str | None = None
    permissions: Mapping[str, tuple[str, ...]] | None = None
    certificate_ends_at: float | None = None
    elapsed_ms: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what `to_json` did not write."""
        steps = tuple(
            Step(**{**step, "layer": Layer(step["layer"]), "state": StepState(step["state"])})
            for step in content["steps"]
        )
        permissions = content["permissions"]
        if permissions is not None:
            permissions = {name: tuple(methods) for name, methods in permissions.items()}
        return cls(**{**content, "steps": steps, "permissions": permissions})
