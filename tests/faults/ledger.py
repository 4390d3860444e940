"""What a store of the matrix was asked and what it did, by nonce; and the content that a nonce stands for. Pure."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verb = Literal["plain", "hold", "half"]

_TARGET = re.compile(rb"/api/[a-z]+/(plain|hold|half)([0-9]+)-([a-z0-9]+)(?:[/?].*)?$")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a target asks for: ``plain`` is answered at once, ``hold`` when released, ``half`` half and half."""

    verb: str
    size_bytes: int
    nonce: str

    @classmethod
    def from_target(cls, target: bytes) -> Wish | None:
        """None for a target that no request of the matrix has."""
        found = _TARGET.fullmatch(target)
        return cls(found[1].decode(), int(found[2]), found[3].decode()) if found else None

    @property
    def target(self) -> str:
        """The path behind the shop's address."""
        return f"/api/products/{self.verb}{self.size_bytes}-{self.nonce}"


def content(nonce: str, size_bytes: int) -> bytes:
    """The body that belongs to a nonce: whoever gets another one got a wrong one."""
    return (f"{nonce}." * (size_bytes // (len(nonce) + 1) + 1)).encode()[:size_bytes]


@dataclass
class Entry:
    """One nonce: ``asked`` heads came, ``whole`` requests came whole (a write is carried out then), ``damaged`` ones
    had another body than theirs, ``answered`` were answered whole."""

    asked: int = 0
    whole: int = 0
    damaged: int = 0
    answered: int = 0


class Ledger:
    """All nonces since the last ``take``."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def entry(self, nonce: str) -> Entry:
        """The entry of a nonce, made on first use."""
        return self._entries.setdefault(nonce, Entry())

    def take(self) -> dict[str, dict[str, Any]]:
        """Everything so far, forgotten here."""
        entries, self._entries = self._entries, {}
        return {nonce: asdict(entry) for nonce, entry in entries.items()}
