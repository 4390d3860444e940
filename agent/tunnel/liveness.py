"""Whether the other end of a connection lives, and when a heartbeat is due: two packet counters and a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class PacketCounters(Protocol):
    """asyncssh's connection: it counts its packets already, so that watching costs nothing per packet."""

    _recv_seq: int
    _send_seq: int


class Liveness:
    """Any packet is a sign of life.

    A heartbeat is due when one of the directions was quiet for an interval: so the peer hears from us, and has
    something to answer when all the traffic is ours. Three intervals after the last one it is due in any case, for
    the round-trip time. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        counters: PacketCounters,
        silence_limit_s: float,
        interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._counters = counters
        self._silence_limit_s = silence_limit_s
        # Two chances to be answered within the limit, whatever interval the server asked for.
        self.interval_s = min(interval_s, silence_limit_s / 2.5)
        self._clock = clock
        now = clock()
        self._received = self._sent = -1
        self._received_at = self._sent_at = now
        self._sequence = 0
        self._asked_at = now
        self._waiting_for: int | None = None
        self.round_trip_s: float | None = None
        self.answered_at: float | None = None

    @property
    def pause_s(self) -> float:
        """How often to look: a tenth of the interval."""
        return min(max(self.interval_s / 10, 0.01), 1.0)

    def is_silent(self) -> bool:
        """True when no packet came for longer than the limit; to be asked every ``pause_s``."""
        now = self._clock()
        received, sent = self._counters._recv_seq, self._counters._send_seq  # noqa: SLF001 - see PacketCounters
        if received != self._received:
            self._received, self._received_at = received, now
        if sent != self._sent:
            self._sent, self._sent_at = sent, now
        return now - self._received_at > self._silence_limit_s

    def next_heartbeat(self) -> int | None:
        """The number of the heartbeat to send now, if one is due."""
        now = self._clock()
        asked_s = now - self._asked_at
        quiet_s = now - min(self._received_at, self._sent_at)
        if asked_s < self.interval_s or (quiet_s < self.interval_s and asked_s < 3 * self.interval_s):
            return None
        self._sequence += 1
        self._asked_at = now
        self._waiting_for = self._sequence
        return self._sequence

    def answered(self, sequence: int) -> None:
        """The other end answered this heartbeat."""
        now = self._clock()
        self.answered_at = now
        if sequence == self._waiting_for:
            self._waiting_for = None
            self.round_trip_s = now - self._asked_at
