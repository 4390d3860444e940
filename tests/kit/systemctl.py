"""A double of systemctl: a program on PATH that knows one kind of unit, keeps its state and writes down its calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$*" | sed 's/--no-pager --no-ask-password //' >> calls
case "$*" in
  *LoadState*) [ -e installed ] && echo loaded || echo not-found ;;
  *ActiveState*) [ -e active ] && echo active || echo inactive ;;
  *UnitFileState*) [ -e enabled ] && echo enabled || echo disabled ;;
  *) if [ -e broken ]; then echo "Job for the unit failed." >&2; exit 1; fi ;;
esac
case "$*" in
  *"enable --now"*) touch active enabled ;;
esac
case "$*" in
  *"disable --now"*) rm -f active enabled ;;
esac
"""


@dataclass(frozen=True)
class Systemctl:
    """In ``directory``, which stands before everything else in PATH."""

    directory: Path

    @classmethod
    def install(cls, directory: Path, *, is_installed: bool = True) -> Systemctl:
        """Put it there; the unit is known to it when ``is_installed``, stopped and disabled."""
        directory.mkdir()
        program = directory / "systemctl"
        program.write_text(_PROGRAM)
        program.chmod(0o755)
        made = cls(directory)
        made.set("installed", is_installed)
        return made

    def set(self, name: str, value: bool) -> None:
        """``active``, ``enabled``, or ``broken``: every action fails."""
        if value:
            (self.directory / name).touch()
        else:
            (self.directory / name).unlink(missing_ok=True)

    def actions(self) -> list[str]:
        """What it was told to do since the last time, without the questions."""
        calls = self.directory / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("show ")]
