"""Unix sockets that only their own user, or group, can open: made without a moment in which others could connect."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.errors import StartError

SOCKET_PATH_MAX_BYTES: Final = 107  # sun_path of unix(7), less the final NUL

_PROBE_TIMEOUT_S: Final = 1.0
_LOCK_TRIES: Final = 20
_LOCK_PAUSE_S: Final = 0.05


class PrivateSocket:
    """A listening Unix socket at ``path``, mode 0600; a directory that is missing is made, mode 0700.

    ``what`` names the socket, ``program`` who listens on it, and ``setting`` what names another place, all for error
    messages. A socket that nobody serves any more is replaced. ``is_for_group`` lets the directory's group in, too,
    where the directory itself does so and is closed to all others.
    """

    def __init__(self, path: Path, *, what: str, program: str, setting: str, is_for_group: bool = False) -> None:
        self.path = path
        self._what = what
        self._program = program
        self._setting = setting
        self._is_for_group = is_for_group
        self._inode: int | None = None

    def listen(self, backlog: int) -> socket.socket:
        """Make the socket and listen: from here on a connection waits instead of failing.

        Raises ``StartError`` when the path is too long, not writable, or served by a living process.
        """
        path = self.path
        if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
            raise StartError(
                f"{self._what}'s path {path} is longer than the {SOCKET_PATH_MAX_BYTES} bytes that Linux allows: name "
                f"a shorter one with {self._setting} in the settings."
            )
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_mask = os.umask(0o077)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.umask(0o177)  # the socket is born 0600
            with _alone_in(path.parent):
                self._clear_place()
                listening.bind(str(path))
                self._inode = path.lstat().st_ino
                listening.listen(backlog)
                if self._is_for_group:
                    self._let_group_in()
        except OSError as error:
            listening.close()
            raise StartError(
                f"{self._what} {path} cannot be made ({error.strerror}): give the directory to the user that runs "
                f"{self._program}, or name another one with {self._setting} in the settings."
            ) from None
        except BaseException:  # nobody else knows this socket yet
            listening.close()
            raise
        finally:
            os.umask(old_mask)
        return listening

    def remove(self) -> None:
        """Take the socket out of its directory, unless it is another process's by now."""
        with contextlib.suppress(OSError):
            if self._inode is not None and self.path.lstat().st_ino == self._inode:
                self.path.unlink()

    def _let_group_in(self) -> None:
        directory = self.path.parent.stat()
        if directory.st_mode & stat.S_IXGRP and not directory.st_mode & stat.S_IRWXO:
            with contextlib.suppress(PermissionError):  # a group that this user is not in: it stays the user's own
                os.chown(self.path, -1, directory.st_gid)
                self.path.chmod(0o660)

    def _clear_place(self) -> None:
        if not self.path.is_socket():
            return
        if is_served(self.path):
            raise StartError(
                f"Another {self._program} answers on {self._what[0].lower()}{self._what[1:]} {self.path}: stop it, or "
                f"give this one its own with {self._setting} in the settings."
            )
        self.path.unlink()


def is_served(path: Path) -> bool:
    """True when a process listens on the socket ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except (TimeoutError, BlockingIOError):
            return True  # somebody listens, whose queue is full
        except OSError:
            return False
    return True


def connect_private(path: Path, timeout_s: float) -> socket.socket:
    """Connect to a socket as ``PrivateSocket`` makes it; ``timeout_s`` is for each step from then on.

    Raises:
        FileNotFoundError, ConnectionRefusedError, NotADirectoryError: nobody listens there.
        OSError: it cannot be opened.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
        raise FileNotFoundError(f"nobody can listen on {path}")
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(timeout_s)
    try:
        connected.connect(str(path))
    except BaseException:  # nobody else knows this socket yet
        connected.close()
        raise
    return connected


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Of two processes that start at once, neither may take the other's new socket for a leftover.

    Whoever can read a directory can lock it, so that nobody is waited for longer than a moment.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(descriptor)
