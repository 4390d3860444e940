"""When a heartbeat is due, and when the other side is given up."""

from __future__ import annotations

from agent.tunnel.liveness import Liveness


class Link:
    """Two packet counters and a clock."""

    def __init__(self) -> None:
        self._recv_seq = 0
        self._send_seq = 0
        self.now = 0.0
        self.delivering = False
        self.liveness = Liveness(
            self,
            silence_limit_s=25,
            interval_s=10,
            clock=lambda: self.now,
            is_delivering=lambda: self.delivering,
        )

    def run(self, seconds: float, *, receives: float = 0, sends: float = 0, answers: bool = False) -> list[float]:
        """Let time pass; ``receives`` and ``sends`` are periods of other traffic. Returns when heartbeats were sent."""
        sent: list[float] = []
        end = self.now + seconds
        while self.now < end:
            self.now = round(self.now + 1, 3)
            self._recv_seq += bool(receives and self.now % receives == 0)
            self._send_seq += bool(sends and self.now % sends == 0)
            if self.liveness.is_silent():
                break
            number = self.liveness.next_heartbeat()
            if number is not None:
                sent.append(self.now)
                self._send_seq += 1
                if answers:
                    self._recv_seq += 1
                    self.now += 0.25
                    self.liveness.answered(number)
        return sent


def test_an_idle_link_has_a_heartbeat_each_interval() -> None:
    link = Link()
    sent = link.run(100, answers=True)
    assert 8 <= len(sent) <= 10
    assert link.now >= 100
    assert link.liveness.round_trip_s == 0.25


def test_a_silent_server_is_given_up_after_the_limit() -> None:
    link = Link()
    sent = link.run(100)
    assert 25 < link.now <= 27
    assert len(sent) == 3  # the first at once, and two more chances to answer


def test_a_busy_link_needs_no_heartbeat_but_now_and_then_one_for_the_round_trip() -> None:
    assert Link().run(100, receives=1, sends=1) == [1, 31, 61, 91]


def test_traffic_of_our_own_alone_does_not_replace_the_question() -> None:
    """A slow drip from us makes the server say nothing by itself: without heartbeats it would look dead."""
    link = Link()
    sent = link.run(100, sends=1, answers=True)
    assert len(sent) >= 8
    assert link.now >= 100


def test_received_traffic_alone_does_not_replace_our_voice() -> None:
    """The server drops an agent that says nothing, however much it sends to it."""
    assert len(Link().run(100, receives=1)) >= 8


def test_any_packet_is_life() -> None:
    link = Link()
    link.run(200, receives=20)
    assert link.now >= 200


def test_a_late_answer_to_another_question_gives_no_round_trip() -> None:
    link = Link()
    link.run(12, receives=5)
    link.liveness.answered(99)
    assert link.liveness.round_trip_s is None
    assert link.liveness.answered_at == link.now


def test_the_servers_interval_never_leaves_less_than_two_chances() -> None:
    link = Link()
    assert Liveness(link, silence_limit_s=25, interval_s=60, clock=lambda: 0.0).interval_s == 10


def test_the_first_heartbeat_is_due_at_once() -> None:
    assert Link().run(1) == [1]


def test_a_stall_of_our_own_is_no_silence_of_the_other_side() -> None:
    """What the peer said meanwhile waits in the socket: the event loop reads it after the look that came late."""
    link = Link()
    link.run(10, answers=True)
    link.now += 60
    assert not link.liveness.is_silent()
    link._recv_seq += 1
    link.run(24)
    assert not link.liveness.is_silent()
    link.run(10)
    assert link.liveness.is_silent()


def test_a_challenge_asks_at_once_and_gives_up_soon() -> None:
    link = Link()
    link.run(12, answers=True)
    link.liveness.challenge(5)
    asked_at = link.now
    assert link.run(100) == [asked_at + 1]
    assert asked_at + 5 <= link.now <= asked_at + 7
    assert link.liveness.limit_s == 5


def test_a_challenge_is_met_by_its_answer() -> None:
    link = Link()
    link.run(12, answers=True)
    link.liveness.challenge(5)
    link.run(3, answers=True)
    assert link.liveness.limit_s == 25
    link.run(20)
    assert not link.liveness.is_silent()


def test_packets_that_come_later_meet_a_challenge() -> None:
    """Behind a bulk transfer on a slow link the answer may be late."""
    link = Link()
    link.run(12, answers=True)
    link.now = 14.0
    link.liveness.challenge(5)
    link.run(20, receives=4)
    assert not link.liveness.is_silent()


def test_what_waited_in_the_socket_does_not_meet_a_challenge() -> None:
    link = Link()
    link.run(12, answers=True)
    link.liveness.challenge(5)
    link._recv_seq += 3  # read by the loop right after the wake-up
    link.run(100)
    assert link.liveness.is_silent()
    assert link.now < 25


def test_the_answer_to_an_older_heartbeat_does_not_meet_a_challenge() -> None:
    link = Link()
    sent = link.run(2)
    assert len(sent) == 1
    link.liveness.challenge(5)
    link._recv_seq += 1
    link.liveness.answered(1)
    link.run(100)
    assert link.liveness.limit_s == 5
    assert link.now < 10


def test_a_challenge_that_waits_behind_bulk_is_not_lost_until_the_usual_limit() -> None:
    link = Link()
    link.run(30, answers=True)
    link.delivering = True
    asked_at = link.now
    link.liveness.challenge(5)
    link.run(100)
    assert 10 < link.now - asked_at <= 27  # 25 s after the last packet, which was no more than an interval ago
    assert link.liveness.is_silent()


def test_a_challenge_has_its_own_limit_again_once_nothing_is_on_its_way() -> None:
    link = Link()
    link.run(30, answers=True)
    link.delivering = True
    asked_at = link.now
    link.liveness.challenge(5)
    link.run(10)
    link.delivering = False
    link.run(100)
    assert 14 < link.now - asked_at <= 17
