"""A file that appears whole or not at all: written beside its place, brought to the disk, then given its name."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})  # FAT, some network disks


@contextlib.contextmanager
def whole_file(path: Path, *, may_replace: bool) -> Iterator[BinaryIO]:
    """What is written to the yielded file is at ``path``, mode 0600, when the block ends well; else nothing changed.

    Until then it is ``.NAME.part`` beside it; one that a killed process has left is replaced. A symbolic link is
    followed. Raises FileExistsError before anything is written, or at the end when the file has appeared meanwhile,
    unless ``may_replace``; OSError when it cannot be written, or when ``path`` is there and is no regular file.
    """
    path = Path(os.path.realpath(path))
    if os.path.lexists(path):
        if not may_replace:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        if not path.is_file():
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        own = os.fstat(descriptor)
        try:
            yield file
            file.flush()
            os.fsync(descriptor)
            if not os.path.samestat(own, part.stat()):
                raise OSError(errno.EBUSY, "another process writes the same file", str(path))
            _give_name(part, path, may_replace=may_replace)
            sync_directory(path.parent)
        except BaseException:  # interrupted by Ctrl-C, too
            with contextlib.suppress(OSError):
                if os.path.samestat(own, part.stat()):
                    part.unlink()
            raise


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk. Raises OSError."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _give_name(part: Path, path: Path, *, may_replace: bool) -> None:
    if not may_replace:
        try:
            path.hardlink_to(part)  # fails, unlike rename, when the file has appeared meanwhile
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        else:
            part.unlink()
            return
    part.replace(path)
