"""How many files, and so how many connections, this process may have open."""

from __future__ import annotations

import resource
from typing import Final

WANTED_FILES: Final = 1 << 20


def allow_open_files(wanted: int = WANTED_FILES) -> int:
    """Raise the soft limit as far as the hard one lets it, ``wanted`` at most; returns what it is now.

    The usual soft limit of 1024 is there for programs that call select(2). Here it would be reached by 500 agents with
    two tunnels each, and nothing could be accepted any more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        return target
    return soft
