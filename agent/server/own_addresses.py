"""The addresses of this machine, which mode Cloud must not dial: the server would talk to itself."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def own_addresses(proc: Path = Path("/proc/self/net")) -> frozenset[Address]:
    """Every address of every interface, as Linux lists them; empty where there is no /proc."""
    found: set[Address] = set()
    # fib_trie: "|-- 192.0.2.7" followed by "/32 host LOCAL"
    for address in re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", _text(proc / "fib_trie")):
        found.add(ipaddress.IPv4Address(address))
    for line in _text(proc / "if_inet6").splitlines():
        found.add(ipaddress.IPv6Address(int(line.split()[0], 16)))
    return frozenset(found)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
