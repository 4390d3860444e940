"""Whether an agent still lives: its packets, and what the kernel hears of the machine it runs on."""

from __future__ import annotations

from typing import Final

from agent.tunnel.flow import LinkFlow
from agent.tunnel.liveness import PacketCounters

_NEARLY: Final = 0.8


class Pulse:
    """One link's signs of life, looked at by the endpoint's sweep; any packet is one.

    ``awake_s`` are seconds during which this process could hear (``AwakeClock``): an agent is not to blame for what a
    stopped server has not read.
    """

    def __init__(self, counters: PacketCounters, flow: LinkFlow, silence_limit_s: float) -> None:
        self._counters = counters
        self._flow = flow
        self._silence_limit_s = silence_limit_s
        self._packets = -1
        self._alive_at_s = 0.0

    def verdict(self, awake_s: float) -> str | None:
        """Why the agent is given up, or None while it lives."""
        packets = self._counters._recv_seq  # noqa: SLF001 - see PacketCounters
        if packets != self._packets:
            self._packets, self._alive_at_s = packets, awake_s
            return None
        quiet_s = awake_s - self._alive_at_s
        if quiet_s > self._silence_limit_s:
            return f"nothing heard for {self._silence_limit_s:g} s"
        # A system call, 4 us, which the heartbeats of a living link make needless.
        if quiet_s > _NEARLY * self._flow.limits.unheard_max_s and self._flow.is_cut():
            return f"the network is cut, no acknowledgement for {self._flow.limits.unheard_max_s:g} s"
        return None
