"""How long a login has to wait after failures, by source and by name. Pure: the clock is injected.

A source that fails waits longer and longer, whatever names it tries. A name that is tried from many sources slows down
only sources from which nobody has logged in lately, so that knowing a name is not enough to lock its owner out.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FREE_FAILURES: Final = 5
"""Mistyped passwords that cost nothing."""

DELAY_FIRST_S: Final = 2.0
DELAY_MAX_S: Final = 900.0
FORGET_AFTER_S: Final = 3600.0
KNOWN_FOR_S: Final = 30 * 86_400.0
ENTRIES_MAX: Final = 10_000
"""Of each kind: the ones that failed longest ago are forgotten first."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_at: float = 0.0

    @property
    def delay_s(self) -> float:
        surplus = self.count - FREE_FAILURES
        return 0.0 if surplus <= 0 else float(min(DELAY_MAX_S, DELAY_FIRST_S * 2.0 ** min(surplus - 1, 20)))


class LoginThrottle:
    """Counts failures; times are seconds of ``clock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sources: OrderedDict[str, _Failures] = OrderedDict()
        self._names: OrderedDict[str, _Failures] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.outcomes: Counter[str] = Counter(ok=0, refused=0, throttled=0)  # since the start; nothing depends on them

    def __repr__(self) -> str:
        return f"<LoginThrottle sources={len(self._sources)} names={len(self._names)}>"

    def wait_s(self, peer: str, name: str) -> float:
        """How long this source has to wait before it may try this name; 0.0 = not at all."""
        source, now = source_of(peer), self._clock()
        waits = [self._left(self._sources, source, now)]
        if now - self._known.get((source, _key(name)), -KNOWN_FOR_S) >= KNOWN_FOR_S:
            waits.append(self._left(self._names, _key(name), now))
        return max(waits)

    def failed(self, peer: str, name: str) -> None:
        """Name or password were wrong; or are about to be checked, and ``succeeded`` takes it back if they are right.

        Counted beforehand, since of many attempts at once each would find that none has failed yet.
        """
        now = self._clock()
        for table, key in ((self._sources, source_of(peer)), (self._names, _key(name))):
            entry = table.pop(key, None) or _Failures()
            if now - entry.last_at > FORGET_AFTER_S:
                entry.count = 0
            entry.count += 1
            entry.last_at = now
            table[key] = entry
            if len(table) > ENTRIES_MAX:
                table.popitem(last=False)

    def succeeded(self, peer: str, name: str) -> None:
        """They were right: the attempt was no failure, and this source is known for this name."""
        self.outcomes["ok"] += 1
        source = source_of(peer)
        self._sources.pop(source, None)
        of_name = self._names.get(_key(name))
        if of_name is not None and of_name.count > 0:
            of_name.count -= 1
        key = (source, _key(name))
        self._known.pop(key, None)
        self._known[key] = self._clock()
        if len(self._known) > ENTRIES_MAX:
            self._known.popitem(last=False)

    @staticmethod
    def _left(table: OrderedDict[str, _Failures], key: str, now: float) -> float:
        entry = table.get(key)
        return 0.0 if entry is None else max(0.0, entry.last_at + entry.delay_s - now)


def _key(name: str) -> str:
    return name.casefold()[:200]


def source_of(peer: str) -> str:
    """One address, or the /64 of an IPv6 one, which is one subscriber's; any other text is a source of its own."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer[:100]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
