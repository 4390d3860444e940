"""Tells the service manager how this process does, by the protocol of sd_notify(3). Nothing here awaits or reads time.

Without ``NOTIFY_SOCKET`` nothing happens, and no failure of it ever reaches the program.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, MutableMapping
from typing import Final, Self

import structlog

STATUS_MAX_CHARS: Final = 200

_SEND_WAIT_S: Final = 1.0  # for what must arrive, while the manager's queue is full
_log = structlog.get_logger()


class ServiceNotifier:
    """The manager's socket, if there is one.

    ``address`` is a path, or an abstract name that begins with NUL. ``watchdog_s`` is how soon a process that has not
    said ``alive`` is taken for dead; None: nobody watches.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s if address else None
        self._address = address
        self._failed = False
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def __repr__(self) -> str:
        return f"<ServiceNotifier {self._address.replace(chr(0), '@') or 'none'} watchdog_s={self.watchdog_s}>"

    @classmethod
    def take(cls, environ: MutableMapping[str, str], pid: int) -> Self:
        """What ``environ`` says for process ``pid``; the variables are removed, since no child is the service."""
        address = environ.pop("NOTIFY_SOCKET", "")
        watchdog_usec, watched_pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if address[:1] not in ("/", "@"):  # vsock:, for virtual machines, is no place for us
            return cls()
        is_ours = watched_pid in ("", str(pid)) and watchdog_usec.isdecimal() and int(watchdog_usec) > 0
        name = f"\0{address[1:]}" if address.startswith("@") else address
        return cls(name, int(watchdog_usec) / 1e6 if is_ours else None)

    @property
    def is_there(self) -> bool:
        """False when nobody listens: then nothing need be said."""
        return self._socket is not None

    def ready(self, status: str = "") -> None:
        """The start, or a reload, is done."""
        self._send("READY=1", *_status(status), wait_s=_SEND_WAIT_S)

    def status(self, text: str) -> None:
        """One sentence for ``systemctl status``; never give it a secret."""
        self._send(*_status(text))

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """The settings are read anew; ready again at the end of the block, however it ends."""
        # The time tells the manager which READY=1 belongs to this reload (Type=notify-reload asks for it).
        now_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_usec}", wait_s=_SEND_WAIT_S)
        try:
            yield
        finally:
            self.ready()

    def stopping(self, status: str = "") -> None:
        """The end has begun."""
        self._send("STOPPING=1", *_status(status), wait_s=_SEND_WAIT_S)

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Say nothing any more."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _send(self, *lines: str, wait_s: float = 0.0) -> None:
        if self._socket is None:
            return
        try:
            self._socket.settimeout(wait_s)  # a manager that is stuck must not stop the tunnels
            self._socket.sendto("\n".join(lines).encode(), self._address)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.warning("service_manager.unreachable", said=lines[0], error=error.strerror or type(error).__name__)
            self._failed = True


def _status(text: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(text.split())[:STATUS_MAX_CHARS]}",) if text else ()
