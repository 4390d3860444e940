"""A control group of the test's own, in which a container's systemd can cap memory and tasks. Needs root.

Works with the unified hierarchy and with the older one of a tree for each controller, which systemd 252 still knows.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from tests.kit.tools import missing

_TREE: Final = Path("/sys/fs/cgroup")
_CAPS: Final = ("memory", "pids")
_EMPTY_TIMEOUT_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.05


class OwnCgroup:
    """Made at once; ``remove()`` takes it away when nothing runs in it any more."""

    def __init__(self) -> None:
        name = f"booted-{os.getpid()}"
        self.is_unified = (_TREE / "cgroup.controllers").exists()
        """One hierarchy for all controllers; else those of ``_CAPS`` have trees of their own."""
        tops = [_TREE] if self.is_unified else [_TREE / each for each in (*_CAPS, "systemd", "unified")]
        self.folders = [top / name for top in tops if (top / "cgroup.procs").exists()]
        if self.is_unified:
            self._enable_controllers()
        elif len(self.folders) < len(_CAPS) + 1:
            missing(f"no control groups for {', '.join(_CAPS)} and systemd in {_TREE}: run where they are mounted")
        for folder in self.folders:
            folder.mkdir(exist_ok=True)

    def command(self, *words: str) -> list[str]:
        """``words`` as a command line that runs them in it; the process id stays the command's own."""
        enter = 'for folder in $1; do echo $$ > "$folder/cgroup.procs"; done; shift; exec "$@"'
        return ["/bin/sh", "-ec", enter, "enter", " ".join(map(str, self.folders)), *words]

    @property
    def locked(self) -> list[str]:
        """What a container sees read-only by default and must write to, if its systemd is to cap anything."""
        return [] if self.is_unified else [str(_TREE / each) for each in _CAPS]

    def remove(self) -> None:
        """Take it away, with what the container made in it."""
        until = time.monotonic() + _EMPTY_TIMEOUT_S
        # What has ended is in it for a moment longer, of which the kernel tells nobody.
        while self._remove_empty() and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)

    def _remove_empty(self) -> bool:
        """Remove the groups in which nothing is; True when there are others."""
        for top in self.folders:
            for folder in sorted((path for path in (top, *top.rglob("*")) if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        return any(top.exists() for top in self.folders)

    @staticmethod
    def _enable_controllers() -> None:
        control = _TREE / "cgroup.subtree_control"
        for each in _CAPS:
            if each not in control.read_text().split():
                try:
                    control.write_text(f"+{each}")
                except OSError as error:
                    missing(f"the controller {each} cannot be enabled in {control}: {error.strerror}")
