"""Root at work in a directory of a less privileged user: as that user, whose traps then lead nowhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def as_owner(directory: Path, *, of_link: bool = False) -> Iterator[None]:
    """Root becomes the owner of ``directory``; nothing changes for everybody else, or where there is none.

    What root makes there the owner could not read, and a symbolic link that the owner planted would lead root to what
    only root may touch. ``of_link``: where the directory itself is such a link its maker counts, not where it leads.
    """
    try:
        owner = directory.lstat() if of_link else directory.stat()
    except OSError:  # not there yet, or not for us: what is tried next says so
        owner = None
    if os.geteuid() or owner is None or not owner.st_uid:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])  # what root's groups may touch is not the owner's
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
