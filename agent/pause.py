"""What is paused by the shop's own administrator, since when, until when, and why. Pure: standard library only.

Times are Unix seconds. Stores are named as ``str(store)`` writes them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

REASON_MAX_CHARS: Final = 200
PAUSE_MAX_S: Final = 10 * 366 * 86400.0

_FORMAT: Final = 1
_LAST_YEAR: Final = 253370764800.0  # of what a calendar can show: 9999-01-01


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause; without ``until`` it lasts until somebody ends it. ``reason`` is one line."""

    since: float
    until: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        times = (self.since, self.until if self.until is not None else self.since)
        if not all(0 <= at < _LAST_YEAR for at in times):
            raise ValueError("a time is out of bounds")
        if len(self.reason) > REASON_MAX_CHARS or not self.reason.isprintable():
            raise ValueError(f"the reason is not one line of at most {REASON_MAX_CHARS} characters")

    def is_over(self, now: float) -> bool:
        """True when its time has come."""
        return self.until is not None and now >= self.until

    @property
    def sentence(self) -> str:
        """What whoever asks for the store is told."""
        return f"The shop's administrator has paused this store {self.span}."

    @property
    def span(self) -> str:
        """``since 2026-11-26 10:00 UTC, until 2026-11-26 10:30 UTC (stocktaking)``."""
        until = f", until {shown_utc(self.until)}" if self.until is not None else ""
        return f"since {shown_utc(self.since)}{until}" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Pauses:
    """All pauses of an agent: that of ``everything``, and those of single stores."""

    everything: Pause | None = None
    stores: Mapping[str, Pause] = field(default_factory=dict)

    @property
    def all(self) -> tuple[Pause, ...]:
        """Each of them."""
        return (*((self.everything,) if self.everything else ()), *self.stores.values())

    def of(self, store: str) -> Pause | None:
        """The pause of this store: that of everything counts first."""
        return self.everything or self.stores.get(store)

    def add(self, pause: Pause, stores: Collection[str] | None) -> Pauses:
        """Pause ``stores``, or everything; what is paused already keeps the time since when it is."""
        if stores is None:
            return replace(self, everything=_later(self.everything, pause))
        return replace(self, stores={**self.stores, **{name: _later(self.stores.get(name), pause) for name in stores}})

    def end(self, stores: Collection[str] | None) -> Pauses:
        """Without the pauses of ``stores``; None: without any."""
        if stores is None:
            return Pauses()
        return replace(self, stores={name: pause for name, pause in self.stores.items() if name not in stores})

    def still_on(self, now: float) -> Pauses:
        """Without those whose time has come."""
        over = self.everything is not None and self.everything.is_over(now)
        kept = {name: pause for name, pause in self.stores.items() if not pause.is_over(now)}
        return Pauses(None if over else self.everything, kept)

    def to_json(self) -> bytes:
        """As it is kept in a file."""
        everything = asdict(self.everything) if self.everything is not None else None
        stores = {name: asdict(pause) for name, pause in self.stores.items()}
        return json.dumps({"format": _FORMAT, "everything": everything, "stores": stores}, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """What ``to_json`` wrote. Raises ``ValueError`` when it did not."""
        try:
            content = json.loads(raw)
            if content["format"] != _FORMAT:
                raise ValueError("it was written by another version of this program")
            everything = _pause(content["everything"]) if content["everything"] is not None else None
            return cls(everything, {str(name): _pause(each) for name, each in content["stores"].items()})
        except (KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError("it holds something else than pauses") from None


def one_line(text: str) -> str:
    """A reason as a person wrote it, on one line and not too long."""
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:REASON_MAX_CHARS]


def shown_utc(unix_s: float) -> str:
    """``2026-11-26 10:00 UTC``: whoever reads it may sit anywhere."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))


def _later(before: Pause | None, pause: Pause) -> Pause:
    return pause if before is None else replace(pause, since=before.since)


def _pause(values: dict[str, Any]) -> Pause:
    until = values["until"]
    return Pause(float(values["since"]), float(until) if until is not None else None, str(values["reason"]))
