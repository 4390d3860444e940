"""Reading the access log while it is written: whole lines only, oldest first, over midnight and into new parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

from agent.access_files import access_files
from agent.access_line import TIME_CHARS, shown_time

_TIME_AT: Final = len(b'{"time":"')
_CHUNK_BYTES: Final = 1 << 20


class AccessReader:
    """The lines of ``directory`` from ``since`` (Unix seconds) on; each call of ``lines`` gives what is new."""

    def __init__(self, directory: Path, since: float) -> None:
        self._directory = directory
        self._since = shown_time(since).encode("ascii")
        self._first_day = date.fromisoformat(shown_time(since)[:10])
        self._read_bytes: dict[Path, int] = {}

    def lines(self) -> Iterator[dict[str, Any]]:
        """What has come since the last call; lines that are none (somebody else wrote them) are left out.

        Raises ``OSError`` when the files cannot be read.
        """
        for file in access_files(self._directory):
            if file.day >= self._first_day:
                yield from self._new_in(file.path)

    def _new_in(self, path: Path) -> Iterator[dict[str, Any]]:
        try:
            opened = path.open("rb")
        except FileNotFoundError:  # swept meanwhile
            return
        with opened as file:
            file.seek(self._read_bytes.get(path, 0))
            while whole := file.readlines(_CHUNK_BYTES):
                if not whole[-1].endswith(b"\n"):  # is being written
                    del whole[-1]
                if not whole:
                    return
                self._read_bytes[path] = self._read_bytes.get(path, 0) + sum(map(len, whole))
                for line in whole:
                    # Compared as text: most lines of a long log need not be read as JSON.
                    if line[_TIME_AT : _TIME_AT + TIME_CHARS] >= self._since and (found := _entry(line)) is not None:
                        yield found


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not {"time", "store", "method", "path", "parameters", "status"} <= found.keys():
        return None
    return found if isinstance(found["status"], int) and isinstance(found["parameters"], list) else None
