"""The demo's directory: made for one run, seen by its user only, removed however the demo ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.demo import janitor
from agent.demo.failure import DemoError

PREFIX: Final = "prestashop-agent-demo-"
_JANITOR_PATIENCE_S: Final = 10.0
_ROOT_MAX_BYTES: Final = 80  # leaves room for the admin socket's name below the 107 bytes of unix(7)


class Place:
    """A new directory (0700) and the names of the files in it. Use as a context manager.

    A small process of its own removes it when the demo is gone, so that ``kill -9`` leaves no keys behind either.
    ``keep`` leaves the directory where it is.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._janitor: subprocess.Popen[bytes] | None = None
        self.root = Path()

    def __enter__(self) -> Self:
        try:
            self.root = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        except OSError as error:
            raise DemoError(
                f"No directory can be made in {tempfile.gettempdir()} ({error.strerror}): set TMPDIR to one that can "
                "be written."
            ) from None
        if len(os.fsencode(self.root)) > _ROOT_MAX_BYTES:
            self.root.rmdir()
            raise DemoError(
                f"The directory for temporary files, {self.root.parent}, has too long a name for sockets: set TMPDIR "
                "to a shorter one."
            )
        if not self._keep:
            self._janitor = subprocess.Popen(
                [sys.executable, "-I", "-S", janitor.__file__, str(self.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._janitor is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._janitor.communicate(timeout=_JANITOR_PATIENCE_S)  # closes its standard input
        if self.root.exists():  # somebody ended the janitor
            shutil.rmtree(self.root, ignore_errors=True)

    @property
    def kept(self) -> bool:
        """True when the directory stays after the demo."""
        return self._keep

    @property
    def store_database(self) -> Path:
        """SQLite file of the sample store."""
        return self.root / "store.sqlite"

    @property
    def server_config(self) -> Path:
        """Settings file of the integration server."""
        return self.root / "server.toml"

    @property
    def server_ready(self) -> Path:
        """Written by the integration server when it listens."""
        return self.root / "server-ready.json"

    @property
    def agent_config(self) -> Path:
        """Settings file of the agent."""
        return self.root / "agent.toml"

    @property
    def token(self) -> Path:
        """The agent's access token."""
        return self.root / "token"

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.root / f"{name}.log"

    def write(self, path: Path, text: str) -> Path:
        """Write a file that only the demo's user can read; returns ``path``."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return path
