"""Machines of their own: network namespaces joined by veth pairs to a router, which a test can make lose packets.

Everything lives in namespaces whose names carry this process's id, and goes with them; nothing of the machine's own
network is touched. Needs root and ``ip`` (Debian: iproute2).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from tests.kit.raw_client import RawClient
from tests.kit.tools import missing, require_tool

_CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
_NOBODY: Final = "02:00:00:00:00:01"
_NUMBERS: Final = itertools.count()
_T = TypeVar("_T")


class Machines:
    """Named machines, each behind the router with a network of its own: number n has 10.77.n.2."""

    def __init__(self, names: Sequence[str]) -> None:
        require_tool("ip", "iproute2")
        if os.geteuid() != 0:
            missing("network namespaces need root: run the tests as root")
        self._names = list(names)
        self._mark = f"pa{os.getpid()}n{next(_NUMBERS)}"
        self._etc: list[Path] = []

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in (*self._names, "router"):
            subprocess.run(["ip", "netns", "del", self.namespace(name)], check=False, capture_output=True)
        for directory in self._etc:
            shutil.rmtree(directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            Path("/etc/netns").rmdir()  # only when it is empty

    def namespace(self, name: str) -> str:
        """The namespace of a machine, as ``ip netns`` knows it."""
        return f"{self._mark}{name}"

    def address(self, name: str, host: int = 2) -> str:
        """The address of a machine."""
        return f"10.77.{self._number(name)}.{host}"

    def prefix(self, name: str) -> tuple[str, ...]:
        """What to put before a command so that it runs there; the process id stays the command's own."""
        return ("ip", "netns", "exec", self.namespace(name))

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def cut(self) -> None:
        """The router forwards nothing more and tells nobody: a black hole for all of them."""
        self._forward("0")

    def join(self) -> None:
        """The router forwards again."""
        self._forward("1")

    def lose_towards(self, name: str) -> None:
        """Packets to this machine are lost, those that it sends arrive: the router has a wrong MAC for it."""
        neighbour = ("replace", self.address(name), "lladdr", _NOBODY, "nud", "permanent")
        self._ip("-n", self.namespace("router"), "neigh", *neighbour, "dev", f"to{self._number(name)}")

    def unplug(self, name: str) -> None:
        """The machine's own end of the cable is down: the carrier is lost, the route goes."""
        self._ip("-n", self.namespace(name), "link", "set", "eth0", "down")

    def plug_in(self, name: str) -> None:
        """The cable is back; the route, which went with it, too."""
        self._ip("-n", self.namespace(name), "link", "set", "eth0", "up")
        self._ip("-n", self.namespace(name), "route", "replace", "default", "via", self.address(name, 1))

    def move(self, name: str, host: int) -> str:
        """The machine has another address from now on; the old one answers nothing. Returns the new one."""
        new = self.address(name, host)
        self._ip("-n", self.namespace(name), "addr", "del", f"{self.address(name)}/24", "dev", "eth0")
        self._ip("-n", self.namespace(name), "addr", "add", f"{new}/24", "dev", "eth0")
        self._ip("-n", self.namespace(name), "route", "replace", "default", "via", self.address(name, 1))
        return new

    def hosts(self, name: str, **addresses: str) -> None:
        """What names mean on that machine, for processes started from now on and for those that run already."""
        directory = Path("/etc/netns") / self.namespace(name)
        if directory not in self._etc:
            self._etc.append(directory)
            directory.mkdir(parents=True)
        lines = ["127.0.0.1 localhost", *(f"{address} {host}" for host, address in addresses.items())]
        # `ip netns exec` mounts this very file over /etc/hosts: written in place, running processes see it too.
        (directory / "hosts").write_text("\n".join([*lines, ""]))

    # -- sockets of this process that live there -----------------------------------------------------------------

    def inside(self, name: str, work: Callable[[], _T]) -> _T:
        """Call ``work`` in a thread of that machine's network; a socket made there stays there."""
        results: list[_T] = []

        def enter() -> None:
            enter_network(Path("/run/netns", self.namespace(name)))
            results.append(work())

        thread = threading.Thread(target=enter, name=f"in-{name}")
        thread.start()
        thread.join()
        return results[0]

    def client(self, name: str, host: str, port: int) -> RawClient:
        """A client on that machine, connected to ``host:port``."""
        return RawClient(port, sock=self.inside(name, lambda: socket.create_connection((host, port), timeout=5)))

    # -- inside --------------------------------------------------------------------------------------------------

    def _number(self, name: str) -> int:
        return self._names.index(name) + 1

    def _build(self) -> None:
        _remove_left_over()
        router = self.namespace("router")
        if self._try("netns", "add", router):
            missing("network namespaces are not allowed here (ip netns add failed)")
        self._ip("-n", router, "link", "set", "lo", "up")
        for name in self._names:
            own, link = self.namespace(name), f"to{self._number(name)}"
            self._ip("netns", "add", own)
            self._ip("-n", own, "link", "set", "lo", "up")
            self._ip("-n", own, "link", "add", "name", "eth0", "type", "veth", "peer", "name", link, "netns", router)
            self._ip("-n", router, "addr", "add", f"{self.address(name, 1)}/24", "dev", link)
            self._ip("-n", router, "link", "set", link, "up")
            self._ip("-n", own, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            self._ip("-n", own, "link", "set", "eth0", "up")
            self._ip("-n", own, "route", "add", "default", "via", self.address(name, 1))
        self.join()

    def _forward(self, value: str) -> None:
        # What stands there belongs to the network of the thread that opens it.
        self.inside("router", lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text(value))

    def _ip(self, *arguments: str) -> None:
        done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"

    def _try(self, *arguments: str) -> int:
        return subprocess.run(["ip", *arguments], check=False, capture_output=True).returncode


def enter_network(namespace: Path) -> None:
    """Put the calling thread, and what it starts, into the network that ``namespace`` (a file of the kernel's) is."""
    with namespace.open() as opened:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(opened.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def _remove_left_over() -> None:
    """Namespaces of test processes that were killed before they could clean up."""
    for path in (*Path("/run/netns").glob("pa*n*"), *Path("/etc/netns").glob("pa*n*")):
        found = re.match(r"pa([0-9]+)n[0-9]+[a-z]", path.name)
        if found is None or Path("/proc", found[1]).exists():
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            subprocess.run(["ip", "netns", "del", path.name], check=False, capture_output=True)


@contextlib.contextmanager
def machines(*names: str) -> Iterator[Machines]:
    """Machines that are gone at the end, whatever happened."""
    with Machines(names) as running:
        yield running
