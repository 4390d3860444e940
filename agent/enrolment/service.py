"""The agent's systemd service, asked and told by systemctl; systemd.unit(5), systemctl(1)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import StartError

BOOTED: Final = Path("/run/systemd/system")
"""Is there when systemd is the service manager of this machine (sd_booted(3))."""

_TIMEOUT_S: Final = 180.0  # a restart drains for at most 75 s, and waits for READY
_RUNNING: Final = frozenset({"active", "activating", "reloading", "refreshing"})


@dataclass(frozen=True, slots=True)
class Service:
    """One unit that is installed here. Each action raises StartError when systemctl says that it failed."""

    unit: str
    systemctl: str

    @classmethod
    def find(cls, unit: str, environ: Mapping[str, str]) -> Service | None:
        """None where there is no systemd, or no such unit; ``unit`` "" is none."""
        systemctl = shutil.which("systemctl", path=environ.get("PATH"))
        if not unit or systemctl is None or not BOOTED.is_dir():
            return None
        service = cls(unit, systemctl)
        return service if service._shown("LoadState") in {"loaded", "masked"} else None

    def is_running(self) -> bool:
        """True from the start command on, also while it waits for its next attempt."""
        return self._shown("ActiveState") in _RUNNING

    def is_enabled(self) -> bool:
        """True when it starts with the machine."""
        return self._shown("UnitFileState") in {"enabled", "enabled-runtime"}

    def enable(self) -> None:
        """Start it now and with the machine."""
        self._do("enable", "--now")

    def restart(self) -> None:
        """Let what runs finish, then start anew: a new token takes effect."""
        self._do("restart")

    def disable(self) -> None:
        """Stop it, and do not start it with the machine."""
        self._do("disable", "--now")

    def _shown(self, name: str) -> str:
        return self._run("show", f"--property={name}", "--value").stdout.strip()

    def _do(self, *action: str) -> None:
        ended = self._run(*action)
        if ended.returncode != 0:
            said = " ".join(ended.stderr.split())[-300:] or f"exit code {ended.returncode}"
            raise StartError(
                f"systemctl {' '.join(action)} {self.unit} failed ({said}): look at "
                f"systemctl status {self.unit}, then run that command again."
            )

    def _run(self, *action: str) -> subprocess.CompletedProcess[str]:
        command = [self.systemctl, "--no-pager", "--no-ask-password", *action, self.unit]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            how = error.strerror if isinstance(error, OSError) else f"no end within {_TIMEOUT_S:g} s"
            raise StartError(
                f"systemctl cannot be run for {self.unit} ({how}): look at systemctl status {self.unit}."
            ) from None
