"""The files of the access log: one a day (UTC), in parts when they grow, the oldest removed. It blocks."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

PARTS_OF_MAX: Final = 4
"""A file may grow to a quarter of what all of them may take, so that the oldest can go before everything is full."""

_NAME: Final = re.compile(r"access-([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.([1-9][0-9]{0,5}))?\.jsonl")


@dataclass(frozen=True, slots=True, order=True)
class AccessFile:
    """One of the files: ``access-2026-11-26.jsonl``, and of that day ``access-2026-11-26.1.jsonl`` and on."""

    day: date
    part: int
    path: Path


def access_files(directory: Path) -> list[AccessFile]:
    """Those that are there, oldest first; nothing where there is no directory. Raises ``OSError``."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for path in directory.iterdir():
            match = _NAME.fullmatch(path.name)
            if match is None:
                continue
            with contextlib.suppress(ValueError):  # the 31st of February
                found.append(AccessFile(date.fromisoformat(match[1]), int(match[2] or 0), path))
    return sorted(found)


class AccessFiles:
    """Writes lines to ``directory`` (made 0700, files 0600); all files take ``max_bytes`` at most.

    Files of the last ``retention_days`` days are kept.
    """

    def __init__(self, directory: Path, *, retention_days: int, max_bytes: int) -> None:
        self.directory = directory
        self._retention = timedelta(days=retention_days)
        self._max_bytes = max_bytes
        self._part_max_bytes = max_bytes // PARTS_OF_MAX
        self._open: AccessFile | None = None
        self._descriptor = -1

    def __repr__(self) -> str:
        return f"<AccessFiles {self._open.path if self._open else self.directory}>"

    def write(self, lines: Iterable[tuple[float, bytes]]) -> None:
        """Append lines, each with its time in Unix seconds, by one write per day.

        Raises:
            OSError: not all could be written; what is not whole of a day's lines was taken back.
        """
        for day, group in groupby(lines, lambda line: datetime.fromtimestamp(line[0], UTC).date()):
            self._append(self._file_of(day), b"".join(line for _, line in group))

    def sweep(self, today: date) -> None:
        """Remove what is too old, and the oldest while all files leave no room for one more part. May raise OSError."""
        files = access_files(self.directory)
        sizes = {file: file.path.stat().st_size for file in files}
        total = sum(sizes.values())
        for file in files:
            is_open = self._open is not None and file.path == self._open.path
            too_old = file.day <= today - self._retention
            if not is_open and (too_old or total > self._max_bytes - self._part_max_bytes):
                file.path.unlink(missing_ok=True)
                total -= sizes[file]

    def close(self) -> None:
        """Close what is open; a further write opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._open = -1, None

    def _file_of(self, day: date) -> int:
        """A descriptor of the day's newest part, with room in it and still under its name."""
        if self._open is not None:
            status = os.fstat(self._descriptor)
            if self._open.day == day and status.st_nlink and status.st_size < self._part_max_bytes:
                return self._descriptor
            self.close()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        parts = [file for file in access_files(self.directory) if file.day == day]
        part = parts[-1].part if parts else 0
        if parts and parts[-1].path.stat().st_size >= self._part_max_bytes:
            part += 1
        suffix = f".{part}" if part else ""
        path = self.directory / f"access-{day.isoformat()}{suffix}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._descriptor = os.open(path, flags, 0o600)
        self._open = AccessFile(day, part, path)
        with contextlib.suppress(OSError):  # what can be written is written; the hourly sweep says what it met
            self.sweep(day)
        return self._descriptor

    @staticmethod
    def _append(descriptor: int, content: bytes) -> None:
        before = os.fstat(descriptor).st_size
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            with contextlib.suppress(OSError):  # half a line would spoil the next one, too
                os.ftruncate(descriptor, before)
            raise
