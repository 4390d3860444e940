"""Where a run keeps its files and processes, and how it ends them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

LOOPBACK = "127.0.0.1"


TOOLS: Final = {
    "nginx": "nginx-light",
    "wrk": "wrk",
    "curl": "curl",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
}
"""Programs that a run needs, and the Debian packages that bring them."""

ECHO_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
_ECHO_PACKAGE = "libnginx-mod-http-echo"
ROOT: Final = Path(__file__).resolve().parents[3]


class MissingToolError(Exception):
    """A program that the run needs is not installed; the text says which Debian packages bring it."""


class AbsentPeerError(Exception):
    """A peer cannot run here; the text says why. The table shows it in place of figures."""


def require_tools() -> None:
    """Raises MissingToolError when anything is missing, naming all of it at once."""
    packages = {package for name, package in TOOLS.items() if _found(name) is None}
    if not ECHO_MODULE.exists():
        packages.add(_ECHO_PACKAGE)
    if packages:
        names = " ".join(sorted(packages))
        raise MissingToolError(f"Debian packages are missing; as root: apt-get install --no-install-recommends {names}")


def tool(name: str) -> str:
    """The path of a program of ``TOOLS``. Raises MissingToolError."""
    found = _found(name)
    if found is None:
        raise MissingToolError(f"{name} is missing; as root: apt-get install {TOOLS[name]}")
    return found


def _found(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int, timeout_s: float = 20.0) -> None:
    """Return when somebody listens there. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection((LOOPBACK, port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody listens on port {port}") from None
            time.sleep(0.05)  # a process of somebody else has no event
        else:
            return


class Place:
    """A folder and the processes that were started in it; all of them end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        self._logs: list[IO[str]] = []

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # nginx reads its files as another user; what is secret has its own mode
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for log in self._logs:
            log.close()

    def start(self, name: str, *command: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a process whose complaints go to ``NAME.log``; its standard output is a pipe."""
        log = (self.folder / f"{name}.log").open("w")
        self._logs.append(log)
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self._processes.append(process)
        return process

    def started(self, name: str, *command: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """The same, returning when it has printed its first line."""
        process = self.start(name, *command, environ=environ)
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError(f"{name} ended at its start: {(self.folder / f'{name}.log').read_text()[-2000:]}")
        return process

    def python(self, name: str, module: str, *arguments: str, packages: Path | None = None) -> subprocess.Popen[str]:
        """A module of ours, returning when it has printed its first line; ``packages``: a folder with more packages."""
        path = f"{ROOT}:{packages}" if packages is not None else str(ROOT)
        return self.started(name, sys.executable, "-m", module, *arguments, environ={"PYTHONPATH": path})


def run(command: Sequence[str], *, text: str = "", timeout_s: float = 600.0, good: Sequence[int] = (0,)) -> str:
    """The output of a command. Raises RuntimeError with what it said when it ends with another code than ``good``."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=timeout_s, check=False, env=environ
    )
    if done.returncode not in good:
        raise RuntimeError(f"{' '.join(command[:6])} ... ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout
