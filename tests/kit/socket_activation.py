"""Listening sockets that outlive a server process, handed over as a service manager does (sd_listen_fds(3))."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Final

FIRST_FD: Final = 3

# Between fork and exec: the sockets become 3, 4 ..., and LISTEN_PID is the number that the program will have.
_LAUNCHER: Final = """
import os, sys
fds, names, command = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
high = [os.dup(int(fd)) for fd in fds]
top = 100
for place, fd in enumerate(high):
    os.dup2(fd, top + place)
for place in range(len(fds)):
    os.dup2(top + place, 3 + place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.closerange(3 + len(fds), 1000)
os.execv(command[0], command)
"""


def listening_socket(host: str = "127.0.0.1") -> socket.socket:
    """A socket that listens on a free port, as a socket unit's does."""
    return socket.create_server((host, 0), backlog=4096)


def handed_over(sockets: Mapping[str, socket.socket], command: Sequence[str]) -> list[str]:
    """The command line that starts ``command`` with ``sockets``; give ``pass_fds`` their file numbers."""
    numbers = ",".join(str(sock.fileno()) for sock in sockets.values())
    return [sys.executable, "-S", "-c", _LAUNCHER, numbers, ":".join(sockets), *command]
