"""Secrets that must turn up nowhere, and the search for them in whatever encoding they may have got out."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

SHORTEST: Final = 12  # characters: shorter ones would be found by chance

_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPE: Final = re.compile(rb"""\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(["'\\/]))""")
_ENTITY: Final = re.compile(rb"&#?[0-9A-Za-z]{1,12};")
_SPACE: Final = re.compile(rb"\s+|\\n")


class Canaries:
    """Secrets by name; ``find`` says which are in what. What it prints has names only."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._plain: dict[str, bytes] = {}
        for name, secret in (secrets or {}).items():
            self.add(name, secret)

    def __repr__(self) -> str:
        return f"<Canaries {', '.join(self._plain)}>"

    def add(self, name: str, secret: str) -> None:
        """One more; a name that is there already is replaced."""
        assert len(secret) >= SHORTEST, f"{name} is too short to be looked for"
        self._plain[name] = secret.encode()

    def names(self) -> frozenset[str]:
        """Of all that are looked for."""
        return frozenset(self._plain)

    def in_bytes(self, content: bytes) -> frozenset[str]:
        """The names of those that are in ``content``: plain, percent, hex, escaped, as entities, base64; or twice."""
        found: set[str] = set()
        for form in _forms(content):
            lower, joined = form.lower(), _SPACE.sub(b"", form)
            for name, secret in self._plain.items():
                if secret in form or secret.hex().encode() in lower or any(core in joined for core in _cores(secret)):
                    found.add(name)
        return frozenset(found)

    def find(self, sources: Mapping[str, bytes]) -> list[str]:
        """``NAME in SOURCE`` of each that was found."""
        return sorted(f"{name} in {source}" for source, content in sources.items() for name in self.in_bytes(content))


def files_below(directory: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """All files, whole; the parts of one that is rotated (``x.log.1``, ``x.log``) also as one, oldest first."""
    skipped = frozenset(but)
    paths = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name not in skipped]
    found = {str(path): path.read_bytes() for path in paths}
    whole: dict[str, list[tuple[int, bytes]]] = {}
    for path in paths:
        stem, _, number = str(path).rpartition(".")
        stem, age = (stem, int(number)) if number.isdigit() else (str(path), 0)
        whole.setdefault(stem, []).append((-age, found[str(path)]))
    for stem, parts in whole.items():
        if len(parts) > 1:
            found[f"{stem} and older"] = b"".join(content for _, content in sorted(parts, key=lambda part: part[0]))
    return found


def _forms(content: bytes) -> set[bytes]:
    """The bytes as they are, and decoded by each two of the ways in which they may be encoded."""
    forms = newest = {content}
    for _ in range(2):
        newest = {decode(form) for form in newest for decode in _DECODERS} - forms
        forms = forms | newest
    return forms


def _percent(content: bytes) -> bytes:
    return _PERCENT.sub(lambda found: bytes.fromhex(found[1].decode()), content)


def _form_field(content: bytes) -> bytes:
    return _percent(content.replace(b"+", b" "))


def _escapes(content: bytes) -> bytes:
    def decoded(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return chr(int(found[1], 16)).encode("utf-8", "surrogatepass")
        return bytes.fromhex(found[2].decode()) if found[2] else found[3]

    return _ESCAPE.sub(decoded, content)


def _entities(content: bytes) -> bytes:
    return _ENTITY.sub(lambda found: html.unescape(found[0].decode()).encode("utf-8", "surrogatepass"), content)


_DECODERS: Final[tuple[Callable[[bytes], bytes], ...]] = (_percent, _form_field, _escapes, _entities)


def _cores(secret: bytes) -> set[bytes]:
    """What base64 makes of it behind 0, 1 and 2 other bytes: the characters that no neighbour has a part in."""
    found = set()
    for before in range(3):
        first, end = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"\0" * before + secret)[first:end])
    return found
