"""The agent's packages that this server hands out: files with the names of packages in its own folders, and their sums.

They are public: a machine in a shop's network has no account here. What has another name, or is no regular file of its
own (a link leads anywhere), does not exist for anybody.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

Kind = Literal["deb", "rpm"]

_NAME: Final = re.compile(
    r"prestashop-agent(?:"
    r"_(?P<deb>[0-9][0-9A-Za-z.+~-]{0,60})_(?P<deb_arch>amd64|arm64|all)\.deb|"
    r"-(?P<rpm>[0-9][0-9A-Za-z.+~-]{0,60})\.(?P<rpm_arch>x86_64|aarch64|noarch)\.rpm)"
)
_MAGIC: Final[dict[Kind, bytes]] = {"deb": b"!<arch>\n", "rpm": b"\xed\xab\xee\xdb"}
_PACKAGES_MAX: Final = 100
_CHUNK_BYTES: Final = 1 << 20

_Mark = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Package:
    """One package; ``sha256`` is 64 hexadecimal digits."""

    name: str
    kind: Kind
    version: str
    architecture: str
    size_bytes: int
    sha256: str


class Downloads:
    """The packages in ``folders``; of the same name the one in an earlier folder. A folder that is missing is empty."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self._sums: dict[str, tuple[_Mark, str]] = {}
        self._one_at_a_time = asyncio.Lock()  # two visitors do not sum up the same file at once

    def __repr__(self) -> str:
        return f"<Downloads {', '.join(map(str, self.folders))}>"

    async def packages(self) -> tuple[Package, ...]:
        """All of them, the newest version first."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._list)

    async def open(self, name: str) -> tuple[Package, BinaryIO] | None:
        """The package and its file, which the caller closes; None when there is none of this name."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._open, name)

    def _list(self) -> tuple[Package, ...]:
        names = sorted({name for folder in self.folders for name in _names(folder)})[:_PACKAGES_MAX]
        found = []
        for name in names:
            opened = self._open(name)
            if opened is not None:
                package, file = opened
                file.close()
                found.append(package)
        self._sums = {package.name: self._sums[package.name] for package in found}
        return tuple(sorted(found, key=lambda package: (version_order(package.version), package.kind), reverse=True))

    def _open(self, name: str) -> tuple[Package, BinaryIO] | None:
        parts = _NAME.fullmatch(name)
        if parts is None:
            return None
        file = next((file for folder in self.folders if (file := _regular(folder / name)) is not None), None)
        if file is None:
            return None
        try:
            mark, known = _mark(file), self._sums.get(name)
            if known is None or known[0] != mark:
                known = self._sums[name] = (mark, _sum(file))
        except OSError:
            file.close()
            return None
        kind: Kind = "deb" if parts["deb"] else "rpm"
        version, architecture = parts[kind], parts[f"{kind}_arch"]
        return Package(name, kind, version, architecture, os.fstat(file.fileno()).st_size, known[1]), file


def kind_of(path: Path) -> Kind | None:
    """Of a file that is about to be handed out, by its name and its first bytes; None when it is no such package.

    Raises OSError when it cannot be read.
    """
    parts = _NAME.fullmatch(path.name)
    if parts is None:
        return None
    kind: Kind = "deb" if parts["deb"] else "rpm"
    with path.open("rb") as file:
        return kind if file.read(len(_MAGIC[kind])) == _MAGIC[kind] else None


def newest(packages: Sequence[Package]) -> tuple[Package, ...]:
    """Of each kind and architecture the first one, Debian's before the others."""
    found: dict[tuple[Kind, str], Package] = {}
    for package in packages:
        found.setdefault((package.kind, package.architecture), package)
    return tuple(found[key] for key in sorted(found))


def version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers by value, words by letters, and what follows a tilde before the same without it, as both systems do."""
    parts = re.findall(r"[0-9]+|[A-Za-z]+|~", version)
    marks = ((-1, 0, "") if part == "~" else (2, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
    return (*marks, (0, 0, ""))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []


def _regular(path: Path) -> BinaryIO | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _mark(file: BinaryIO) -> _Mark:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _sum(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
