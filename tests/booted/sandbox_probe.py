"""Tries in a unit's place what a broken-in agent would try; prints what succeeded. Stdlib only, runs by itself."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

MEMORY_BYTES = 700 << 20
THREADS = 200
_CLONE_NEWUSER = 0x10000000


def _call(number: int) -> None:
    if number != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _unshare() -> None:
    _call(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER))


def _mount() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.mount(b"none", b"/mnt", b"tmpfs", 0, None))
    _call(libc.umount(b"/mnt"))


def _executable_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _set_uid_file() -> None:
    file = Path(os.environ.get("STATE_DIRECTORY", "/var/tmp")) / "probe"
    file.touch()
    try:
        file.chmod(0o4700)
    finally:
        file.unlink()


def _write(path: str) -> Callable[[], object]:
    def attempt() -> None:
        Path(path).write_text("x")
        Path(path).unlink()

    return attempt


def _socket(family: int, kind: int, protocol: int = 0) -> Callable[[], object]:
    return lambda: socket.socket(family, kind, protocol).close()


FORBIDDEN: dict[str, Callable[[], object]] = {
    "write /etc": _write("/etc/probe"),
    "write /usr": _write("/usr/probe"),
    "write /var/lib": _write("/var/lib/probe"),
    "write the settings": lambda: Path("/etc/prestashop-agent/agent.toml").open("a").close(),
    "see /home": lambda: Path("/home/seen").stat(),
    "see /root": lambda: Path("/root/seen").stat(),
    "see another's /tmp": lambda: Path("/tmp/seen").stat(),
    "see another's process": lambda: Path("/proc/1/status").read_text(),
    "read the token's file": lambda: Path("/etc/prestashop-agent/token").read_text(),
    "write a kernel setting": lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("0"),
    "another user namespace": _unshare,
    "mount": _mount,
    "writable code": _executable_memory,
    "set-uid file": _set_uid_file,
    "raw socket": _socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "packet socket": _socket(socket.AF_PACKET, socket.SOCK_RAW),
    "become nobody": lambda: os.setuid(65534),
}
"""What must not succeed; the same as root without the unit shows that it could."""


def threads_started() -> int:
    """How many threads there can be beside the first, of ``THREADS``."""
    over = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(THREADS):
            started.append(threading.Thread(target=over.wait))
            started[-1].start()
    except RuntimeError:
        started.pop()
    over.set()
    for each in started:
        each.join()
    return len(started)


def succeeded() -> list[str]:
    """The names of what was possible, each tried in a process of its own."""
    found = []
    for name, attempt in FORBIDDEN.items():
        child = os.fork()
        if child == 0:
            try:
                attempt()
            except (OSError, ValueError):
                os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            found.append(name)
    return found


def main() -> None:
    """Print what was possible, as JSON; with ``memory``, take more than the unit may have."""
    if sys.argv[1:] == ["memory"]:
        print(len(bytearray(MEMORY_BYTES)))
        return
    allowed = {}
    if "STATE_DIRECTORY" in os.environ:
        own = Path(os.environ["STATE_DIRECTORY"]) / "own"
        own.touch()
        own.unlink()
        allowed = {"token": bool((Path(os.environ["CREDENTIALS_DIRECTORY"]) / "token").read_text()), "uid": os.getuid()}
    print(json.dumps({"threads": threads_started(), "succeeded": succeeded(), **allowed}))


if __name__ == "__main__":
    main()
