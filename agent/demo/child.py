"""Becomes another program that cannot outlive the demo: ``python child.py PARENT_PID PROGRAM ARGUMENT...``.

Run by its path with ``-I -S`` so that it costs a few milliseconds; it imports the standard library only. The kernel
kills the program when the demo is gone, even after ``kill -9``: prctl(2) PR_SET_PDEATHSIG survives execve(2). The
process id stays the same, so that the demo watches the program itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXIT_NO_PARENT = 125


def main() -> None:
    """Tie this process to its parent, then replace it by the program."""
    parent, program, *arguments = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != int(parent):
        sys.exit(EXIT_NO_PARENT)  # it went away before prctl was called
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
