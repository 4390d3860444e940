"""Whether the other end of a connection lives, and when a heartbeat is due: two packet counters and a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agent.tunnel.awake_clock import AwakeClock


class PacketCounters(Protocol):
    """asyncssh's connection: it counts its packets already, so that watching costs nothing per packet."""

    _recv_seq: int
    _send_seq: int


class Liveness:
    """Any packet is a sign of life.

    A heartbeat is due at once, for the first round-trip time, and then when one of the directions was quiet for an
    interval: so the peer hears from us, and has something to answer when all the traffic is ours. Three intervals
    after the last one it is due in any case. Silence is counted while this process was awake to hear (``AwakeClock``).
    ``clock`` is monotonic seconds. ``is_delivering`` is True while what was sent is still on its way and arrives bit by
    bit: a challenge, which may be queued behind it, is not lost by that.
    """

    def __init__(
        self,
        counters: PacketCounters,
        silence_limit_s: float,
        interval_s: float,
        clock: Callable[[], float],
        is_delivering: Callable[[], bool] = lambda: False,
    ) -> None:
        self._counters = counters
        self._silence_limit_s = silence_limit_s
        # Two chances to be answered within the limit, whatever interval the server asked for.
        self.interval_s = min(interval_s, silence_limit_s / 2.5)
        self._clock = clock
        self._is_delivering = is_delivering
        now = clock()
        self._received = self._sent = -1
        self._received_at = self._sent_at = now
        self._sequence = 0
        self._asked_at = now
        self._ask_now = True
        self._waiting_for: int | None = None
        self.round_trip_s: float | None = None
        self.answered_at: float | None = None
        self._awake = AwakeClock(clock, self.pause_s)
        self._heard_awake_s = 0.0
        # A challenge, in seconds awake: what came by ``_settled_s`` may have waited in the socket all the time.
        self._settled_s = 0.0
        self._is_settled = False
        self._answer_by_s: float | None = None
        self._limit_now_s = silence_limit_s

    @property
    def pause_s(self) -> float:
        """How often to look: a tenth of the interval."""
        return min(max(self.interval_s / 10, 0.01), 1.0)

    @property
    def limit_s(self) -> float:
        """The limit that a link found silent has broken: the usual one, or that of a challenge."""
        return self._limit_now_s

    def is_silent(self) -> bool:
        """True when no packet came for longer than the limit; to be asked every ``pause_s``."""
        now, awake_s = self._clock(), self._awake.look()
        received, sent = self._counters._recv_seq, self._counters._send_seq  # noqa: SLF001 - see PacketCounters
        heard = received != self._received
        if heard:
            self._received, self._received_at, self._heard_awake_s = received, now, awake_s
        if sent != self._sent:
            self._sent, self._sent_at = sent, now
        if self._answer_by_s is not None:
            if heard and self._is_settled:
                self._meet_challenge()
            elif self._is_delivering():  # the question may be among it
                self._answer_by_s = awake_s + self._limit_now_s
            elif awake_s > self._answer_by_s:
                return True
            self._is_settled = awake_s >= self._settled_s
        return awake_s - self._heard_awake_s > self._silence_limit_s

    def challenge(self, within_s: float) -> None:
        """Ask for a sign of life now: silent unless the heartbeat is answered, or packets come, ``within_s``.

        For a link that may have died while this machine slept. Packets that were waiting in the socket prove nothing.
        On a thin line that is full the question itself takes seconds to get there: then the usual limit remains.
        """
        awake_s = self._awake.look()
        self._ask_now = True
        self._is_settled = False
        self._settled_s = awake_s + self.pause_s
        self._answer_by_s = awake_s + within_s
        self._limit_now_s = min(within_s, self._silence_limit_s)

    def next_heartbeat(self) -> int | None:
        """The number of the heartbeat to send now, if one is due."""
        now = self._clock()
        asked_s = now - self._asked_at
        quiet_s = now - min(self._received_at, self._sent_at)
        due = asked_s >= self.interval_s and (quiet_s >= self.interval_s or asked_s >= 3 * self.interval_s)
        if not due and not self._ask_now:
            return None
        self._ask_now = False
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
            if not self._ask_now:  # else it answers a heartbeat from before the challenge
                self._meet_challenge()

    def _meet_challenge(self) -> None:
        self._answer_by_s = None
        self._limit_now_s = self._silence_limit_s
