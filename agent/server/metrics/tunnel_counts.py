"""What became of tunnels since the start: told by the registry, plain numbers."""

from __future__ import annotations

from collections import Counter

from agent.server.registry import Change, Departure, RegistryEvent


class TunnelCounts:
    """``ended`` is by how: drained, replaced, evicted, lost. ``fast_packets`` are of ended tunnels, by direction."""

    def __init__(self) -> None:
        self.opened = self.drains = 0
        self.fast_packets: Counter[str] = Counter(sent=0, received=0)
        self.ended: Counter[str] = Counter(drained=0, replaced=0, evicted=0, lost=0)

    def note(self, event: RegistryEvent) -> None:
        """A subscriber of the registry."""
        if event.change is Change.READY:
            self.opened += 1
        elif event.change is Change.DRAINING:
            self.drains += 1
        elif event.change is Change.REMOVED:
            self.ended[_how(event)] += 1
            fast = event.tunnel.acceleration
            self.fast_packets.update(sent=fast.packets_sent, received=fast.packets_received)


def _how(event: RegistryEvent) -> str:
    if event.departure is not Departure.ENDED:
        return str(event.departure)
    return "drained" if event.tunnel.goes else "lost"
