"""Which servers are reached without the proxy (``no_proxy``). Pure: no I/O, no name is resolved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry: everything, a network, or a domain with all that is below it; ``port`` None means each."""

    everything: bool = False
    network: IPv4Network | IPv6Network | None = None
    domain: str = ""
    port: int | None = None

    def covers(self, host: str, port: int) -> bool:
        if self.port is not None and port != self.port:
            return False
        if self.everything:
            return True
        if self.network is None:
            return host == self.domain or host.endswith(f".{self.domain}")
        try:
            return ip_address(host) in self.network
        except ValueError:  # a name is not resolved only to find out
            return False


@dataclass(frozen=True, slots=True)
class Exemptions:
    """A read list. The rules are curl's, and besides ``host:port`` and ``*.domain``, which other programs know.

    An entry is ``*`` (everything), a name (``example.com`` and ``.example.com`` mean the domain and all below it), an
    IP address, or a network as ``10.0.0.0/8``; ``:port`` may follow (IPv6 then in brackets).
    """

    entries: tuple[_Entry, ...] = ()

    @classmethod
    def read(cls, texts: tuple[str, ...]) -> Self:
        """Read one text per entry. Raises ``ValueError``, the rest of a sentence, for what is none."""
        return cls(tuple(_read_entry(text) for text in texts))

    @classmethod
    def read_variable(cls, text: str) -> Self:
        """Read ``NO_PROXY``: entries with commas or blanks between them.

        What is not understood is passed over: the variable is shared with programs that know more kinds.
        """
        entries = []
        for each in re.split(r"[,\s]+", text):
            try:
                entries.append(_read_entry(each))
            except ValueError:
                continue
        return cls(tuple(entries))

    def cover(self, host: str, port: int) -> bool:
        """Is ``host`` (IPv6 without brackets) to be reached directly?"""
        plain = host.lower().removesuffix(".")
        return any(entry.covers(plain, port) for entry in self.entries)


def _read_entry(text: str) -> _Entry:
    wrong = ValueError('must hold names, addresses, or networks such as "10.0.0.0/8", or "*" for everything')
    host, port = _split(text.strip())
    if port is not None and not 1 <= port <= 65535:
        raise wrong
    if host == "*":
        return _Entry(everything=True, port=port)
    try:
        return _Entry(network=ip_network(host, strict=False), port=port)
    except ValueError:
        domain = host.removeprefix("*").removeprefix(".").removesuffix(".").lower()
        if not _NAME.fullmatch(domain):
            raise wrong from None
        return _Entry(domain=domain, port=port)


def _split(text: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?|([^:\[\]]*):([0-9]{1,5})", text)
    if found is None:
        return text, None
    host, port = (found[1], found[2]) if found[3] is None else (found[3], found[4])
    return host, int(port) if port else None
