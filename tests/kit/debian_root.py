"""A clean Debian in a folder, by mmdebstrap: what a shop's machine is before anything of ours is on it. Needs root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.kit.tools import missing, require_tool

# Not ours: what passwd, man-db and dpkg themselves keep, and what is no disk.
_NOT_OURS: Final = re.compile(r"^(proc|sys|dev|run|tmp|var/lib/dpkg|var/cache|var/log)(/|$)|^etc/(.*-|ld\.so\.cache)$")


class DebianRoot:
    """The Debian release of Python's own packages; commands in it have no network and see no other process."""

    def __init__(self, folder: Path, *, include: Sequence[str] = ("python3",), suite: str = "bookworm") -> None:
        """Make it in ``folder``, which is new; about 25 s, and a mirror of Debian is asked."""
        require_tool("mmdebstrap", "mmdebstrap")
        if os.geteuid() != 0:
            missing("a Debian of its own needs root: run the tests as root")
        self.folder = folder
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(include)}", suite, str(folder)],
            check=True,
            capture_output=True,
        )

    def command(self, *words: str) -> list[str]:
        """``words`` as a command line that runs them in it."""
        apart = ["unshare", "--net", "--pid", "--fork", "--kill-child", f"--mount-proc={self.folder}/proc"]
        return [*apart, "chroot", str(self.folder), *words]

    def run(self, *words: str, code: int = 0) -> str:
        """Run ``words`` and give all that they print.

        Raises:
            AssertionError: the exit code is not ``code``.
        """
        return self._finish(self.command(*words), code)

    def run_beside(self, pid: int, *words: str) -> str:
        """The same among the processes of the ``command()`` that is process ``pid``: they see each other."""
        target = f"--target={_child_of(pid)}"
        return self._finish(["nsenter", target, "--net", "--pid", "--mount", "--root", "--wd", *words], 0)

    def _finish(self, command: list[str], code: int) -> str:
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=environ
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def put(self, file: Path) -> str:
        """Copy ``file`` into it; its path there."""
        shutil.copy(file, self.folder / "tmp")
        return f"/tmp/{file.name}"

    def files(self) -> frozenset[str]:
        """Everything that lies in it, folders too, with mode and owner; not what other packages keep for themselves."""
        found = set()
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            if not _NOT_OURS.match(name):
                status = path.lstat()
                found.add(f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {name}")
        return frozenset(found)


def _child_of(pid: int) -> int:
    """The one child of ``unshare --fork``: the first process of its namespace."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
