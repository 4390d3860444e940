"""Removes the demo's directory once the demo is gone, however it ended: ``python janitor.py DIRECTORY``.

Run by its path with ``-I -S``; it imports the standard library only. Its standard input is a pipe that only the demo
holds open: the end of that pipe means that the demo has ended, by itself or by ``kill -9``. The directory holds the
keys of the demo, so that it must not be left over.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time

_TRIES = 100
_PAUSE_S = 0.05


def main() -> None:
    """Wait for the end of the pipe, then remove the directory."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    for _ in range(_TRIES):  # a process that is just being killed may still write into it
        try:
            shutil.rmtree(sys.argv[1])
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main()
