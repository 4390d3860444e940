"""One process at a time in a directory: a lock file that the kernel frees when its holder ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path


class LockHeldError(Exception):
    """Another process holds the directory. ``who`` is `` (process 123)``, for a sentence, or empty if unknown."""

    def __init__(self, who: str) -> None:
        super().__init__(f"the lock is held{who}")
        self.who = who


def lock_directory(directory: Path, name: str) -> int:
    """Make ``directory`` (0700) where it is missing and lock it by an advisory ``flock`` on the file ``name``.

    Returns the descriptor that holds the lock; to close it is to give the lock back. The file stays, with the
    number of its last holder. No symbolic link is followed.

    Raises:
        LockHeldError: another process holds it.
        OSError: the directory cannot be made or written, or its file system has no locks.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _lock(descriptor)
    except BaseException:  # whatever went wrong, nobody else knows this descriptor
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        raise LockHeldError(f" (process {holder})" if holder.isdigit() else "") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
