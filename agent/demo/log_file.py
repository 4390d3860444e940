"""Reads the log of another process while it is being written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

TAIL_LINES: Final = 6
_TAIL_BYTES: Final = 16_384


class LogFile:
    """A file of JSON lines; other lines are passed over. What was read once is not read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new_events(self) -> list[dict[str, Any]]:
        """The events that were written completely since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                complete = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return []
        if not complete:
            return []
        self._offset += len(complete) + 1
        events = []
        for line in complete.split(b"\n"):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
        return events

    def tail(self) -> str:
        """The last lines, for a person: ``time event field=value ...`` where a line is JSON, else as it is."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(_readable(line) for line in text.splitlines()[-TAIL_LINES:])


def _readable(line: str) -> str:
    try:
        event = json.loads(line)
        shown = [str(event.pop("time"))[11:19], str(event.pop("level")), str(event.pop("event"))]
    except (ValueError, LookupError, AttributeError):
        return line
    return " ".join(shown + [f"{name}={value}" for name, value in event.items()])
