"""Listening sockets that the service manager holds and passes on (sd_listen_fds(3)), so that a restart refuses nobody.

While this server restarts the kernel goes on accepting for the sockets, and its successor finds the connections there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

from agent.errors import StartError

FIRST_FD: Final = 3  # SD_LISTEN_FDS_START
NAMES: Final = ("ssh", "gateway", "panel")

_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_HINT: Final = f"name each socket unit's with FileDescriptorName={' or '.join(NAMES)}."


class InheritedSockets:
    """The sockets by name; empty when this process was started in another way."""

    def __init__(self, sockets: Mapping[str, tuple[socket.socket, ...]]) -> None:
        self._sockets = dict(sockets)

    def __repr__(self) -> str:
        return f"<InheritedSockets {' '.join(f'{name}={len(found)}' for name, found in self._sockets.items())}>"

    def named(self, name: str) -> tuple[socket.socket, ...]:
        """The sockets of that name; () when this server must open its own."""
        return self._sockets.get(name, ())

    @classmethod
    def take(cls, environ: MutableMapping[str, str], pid: int) -> InheritedSockets:
        """What ``environ`` says was passed to process ``pid``; the variables are removed, since no child inherits it.

        Raises ``StartError`` when something other than listening TCP sockets of these names came.
        """
        given = {name: environ.pop(name, "") for name in _VARIABLES}
        if given["LISTEN_PID"] != str(pid):
            return cls({})
        try:
            count = int(given["LISTEN_FDS"])
        except ValueError:
            raise StartError(
                f"LISTEN_FDS is {given['LISTEN_FDS'][:20]!r} and not a number: start it by a socket unit."
            ) from None
        names = given["LISTEN_FDNAMES"].split(":") if given["LISTEN_FDNAMES"] else []
        if len(names) != count:
            raise StartError(f"{count} sockets were passed with {len(names)} names (LISTEN_FDNAMES): {_HINT}")
        found: dict[str, tuple[socket.socket, ...]] = {}
        for fd, name in enumerate(names, FIRST_FD):
            if name not in NAMES:
                raise StartError(f"A socket with the name {name[:40]!r} was passed: {_HINT}")
            found[name] = (*found.get(name, ()), _listening(fd, name))
        return cls(found)


def _listening(fd: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(
            f"File descriptor {fd}, passed for {name}, is no socket ({error.strerror}): use a socket unit."
        ) from None
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM or not is_listening:
        raise StartError(
            f"The socket passed for {name} is not a listening TCP socket: use ListenStream=address:port, Accept=no."
        )
    sock.setblocking(False)
    return sock
