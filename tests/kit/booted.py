"""A booted Debian: systemd and all, by systemd-nspawn, without a network but its own loopback. Needs root.

systemd applies a unit's whole sandbox in it (seccomp, mounts, users, credentials, caps on memory and tasks): only the
kernel is the machine's own. It boots in a second, where a virtual machine without KVM takes half a minute and then runs
ten times slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tests.kit.debian_root import DebianRoot
from tests.kit.namespaces import enter_network
from tests.kit.own_cgroup import OwnCgroup
from tests.kit.tools import missing, require_tool

INCLUDE: Final = ("python3", "systemd-sysv", "dbus")
"""What a Debian must have been made with to be booted."""

_BOOT_TIMEOUT_S: Final = 60.0
_END_TIMEOUT_S: Final = 90.0
_ENVIRON: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


class BootedDebian:
    """``debian``, booted for as long as the context lasts; at the end it is powered off and its folder removed."""

    def __init__(self, debian: DebianRoot) -> None:
        require_tool("systemd-nspawn", "systemd-container")
        require_tool("nsenter", "util-linux")
        self.debian = debian
        self._name = f"booted{debian.folder.stat().st_ino}"
        self._console = debian.folder.with_name("console.log")
        self._cgroup = OwnCgroup()
        self._stack = contextlib.ExitStack()
        self._leader = 0

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def folder(self) -> Path:
        """Its root directory, seen from outside; what is in ``/tmp`` and ``/run`` is not there."""
        return self.debian.folder

    @property
    def is_unified(self) -> bool:
        """True when its control groups are one tree, not one for each controller."""
        return self._cgroup.is_unified

    def run(self, *words: str, stdin: str = "", timeout_s: float = 60.0) -> Ended:
        """Run a command in it, as root, to its end.

        Raises:
            subprocess.TimeoutExpired: it did not end in time; it has been killed.
        """
        done = subprocess.run(
            ["nsenter", "--all", f"--target={self._leader}", "--", *words],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=_ENVIRON,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def out(self, *words: str, stdin: str = "", timeout_s: float = 60.0) -> str:
        """What a command prints that ends well.

        Raises:
            AssertionError: its exit code is not 0.
        """
        ended = self.run(*words, stdin=stdin, timeout_s=timeout_s)
        assert ended.code == 0, f"{' '.join(words)} ended with {ended.code}:\n{ended.out}\n{ended.err}"
        return ended.out

    def network(self) -> NetworkThread:
        """A place for servers and clients of this process in its network; closed by ``with``."""
        return NetworkThread(Path(f"/proc/{self._leader}/ns/net"))

    # -- boot and end --------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._stack.callback(self._cgroup.remove)
        notices = self._stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notices.bind(f"\0{self._name}")
        notices.settimeout(_BOOT_TIMEOUT_S)
        nspawn = ["systemd-nspawn", "--quiet", f"--machine={self._name}", f"--directory={self.folder}", "--boot"]
        apart = ["--private-network", "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off"]
        said = ["--notify-ready=yes", "--console=pipe", "--link-journal=no"]
        console = self._stack.enter_context(self._console.open("wb"))
        process = subprocess.Popen(
            self._cgroup.command(*nspawn, *apart, *said, "systemd.show_status=no"),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **_ENVIRON,
                "NOTIFY_SOCKET": f"@{self._name}",
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": str(int(self._cgroup.is_unified)),
            },
        )
        self._stack.callback(self._power_off, process)
        self._await_ready(notices, process)
        for tree in self._cgroup.locked:
            self.out("mount", "--options", "remount,rw,bind", tree)
        self.out("systemctl", "daemon-reexec")

    def _await_ready(self, notices: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """The container manager passes on what the init process says; systemd-nspawn(1), --notify-ready."""
        ready = False
        while not (ready and self._leader):
            try:
                lines = notices.recv(4096).decode().splitlines()
            except TimeoutError:
                lines = []
            if not lines or process.poll() is not None:
                missing(
                    f"systemd does not boot here within {_BOOT_TIMEOUT_S:g} s:\n{self._console.read_text()[-2000:]}"
                )
            for line in lines:
                key, _, value = line.partition("=")
                if key == "X_NSPAWN_LEADER_PID":
                    self._leader = int(value)
                ready = ready or line == "READY=1"

    def _power_off(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._leader and process.poll() is None:
                self.run("systemctl", "--no-block", "poweroff")
                process.wait(_END_TIMEOUT_S)
        if process.poll() is None:
            process.kill()  # its leader goes with it (PR_SET_PDEATHSIG), and all processes with their first one
            process.wait()
        with contextlib.suppress(OSError):
            Path("/run/systemd/nspawn/propagate", self._name).rmdir()


class NetworkThread:
    """An event loop in a thread of another network; what is called in it listens and connects there."""

    def __init__(self, namespace: Path) -> None:
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._failure: OSError | None = None
        self._entered = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._entered.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, _T], timeout_s: float = 60.0) -> _T:
        """Run ``work`` there to its end, or raise TimeoutError."""
        return self.start(asyncio.wait_for(work, timeout_s)).result()

    def start(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Begin ``work`` there; what is returned waits for its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            enter_network(self._namespace)
        except OSError as error:
            self._failure = error
            return
        finally:
            self._entered.set()
        self._loop.run_forever()
