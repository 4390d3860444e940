"""One of the demo's processes: started tied to the demo, watched, and ended by its own process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from agent.demo import child
from agent.demo.log_file import LogFile

END_PATIENCE_S: Final = 5.0

# What a shell or a service manager may have set for the real agent or server of this machine must not reach ours.
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "PYTHONHOME", "TZ", "TMPDIR")


def clean_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of the demo's processes: little, and with ``home`` as home directory."""
    return {name: environ[name] for name in _PASSED_ON if name in environ} | {
        "HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }


class DemoProcess:
    """A Python module run as a process: in its own session, so that a Ctrl-C in the terminal is not its affair."""

    def __init__(self, title: str, arguments: Sequence[str], log: Path, environ: Mapping[str, str]) -> None:
        self.title = title
        self.log = LogFile(log)
        self._arguments = arguments
        self._environ = dict(environ)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start ``python -m ARGUMENTS``; standard output and standard error go to the log."""
        with os.fdopen(os.open(self.log.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", child.__file__, str(os.getpid())),
                *(sys.executable, "-m", *self._arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.path.parent,
                env=self._environ,
                start_new_session=True,
            )

    @property
    def started(self) -> bool:
        """True once it has a process id."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Process id; 0 before the start."""
        return self._process.pid if self._process is not None else 0

    @property
    def ended(self) -> bool:
        """True when it has run and runs no more."""
        return self._process is not None and self._process.returncode is not None

    async def wait(self) -> None:
        """Wait until it has ended."""
        if self._process is not None:
            await self._process.wait()

    def how_it_ended(self) -> str:
        """``ended with exit code 1`` or ``was killed by signal 9 (SIGKILL)``."""
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return "still runs"
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name if -code in signal.valid_signals() else "unknown"
        return f"was killed by signal {-code} ({name})"

    async def end(self, *, hurry: asyncio.Event) -> None:
        """SIGTERM, and SIGKILL when it has not ended in time or ``hurry`` is set; returns when it is gone."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        waiting = asyncio.ensure_future(self._process.wait())
        hurrying = asyncio.ensure_future(hurry.wait())
        await asyncio.wait({waiting, hurrying}, timeout=END_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if not waiting.done():
            self._signal(signal.SIGKILL)
        await waiting

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
