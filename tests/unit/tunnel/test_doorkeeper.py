"""Places for those who are not logged in, the line of those who wait for one, and the penalty for failing."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.server.doorkeeper import SOURCES_MAX, Doorkeeper, DoorLimits, Refusal, source_of
from agent.tunnel.config import TunnelConfig


class Caller:
    """A connection at the door, which notes what it is told."""

    def __init__(self) -> None:
        self.is_inside = False
        self.refusal: Refusal | None = None

    def admitted(self) -> None:
        assert not self.is_inside
        assert self.refusal is None
        self.is_inside = True

    def turned_away(self, refusal: Refusal) -> None:
        assert not self.is_inside
        self.refusal = refusal


class Door:
    """A doorkeeper and its clock."""

    def __init__(self, limits: DoorLimits | None = None) -> None:
        self.now = 0.0
        self.keeper = Doorkeeper(limits or DoorLimits(), lambda: self.now)

    def enter(self, source: str) -> Refusal | None:
        """Somebody who is let in at once or not at all."""
        caller = Caller()
        refusal = self.keeper.enter(source, caller)
        assert caller.is_inside == (refusal is None)
        return refusal

    def call(self, source: str) -> Caller:
        """Somebody who may wait."""
        caller = Caller()
        assert self.keeper.enter(source, caller) is None
        return caller


def test_places_per_source_and_in_all() -> None:
    door = Door(DoorLimits(total_max=10, per_source_max=4, waiting_max=0))
    assert [door.enter("a") for _ in range(5)] == [None] * 4 + [Refusal.SOURCE_FULL]
    assert [door.enter("b") for _ in range(4)] == [None] * 4
    assert [door.enter("c") for _ in range(3)] == [None] * 2 + [Refusal.FULL]
    door.keeper.leave("a")
    assert door.enter("c") is None
    for source, count in (("a", 3), ("b", 4), ("c", 3)):
        for _ in range(count):
            door.keeper.leave(source)
    assert door.keeper.inside == 0
    assert not door.keeper._inside
    report = door.keeper.report()
    assert (report.inside_max, report.waiting_max) == (10, 0)
    assert report.turned_away == {"full": 1, "source_full": 1, "penalty": 0, "waited": 0}


def test_who_finds_no_place_waits_and_comes_in_as_one_becomes_free() -> None:
    door = Door(DoorLimits(total_max=2, per_source_max=2))
    callers = [door.call("a") for _ in range(4)]
    assert [caller.is_inside for caller in callers] == [True, True, False, False]
    assert (door.keeper.inside, door.keeper.waiting) == (2, 2)
    door.keeper.leave("a")
    assert [caller.is_inside for caller in callers] == [True, True, True, False]
    door.keeper.leave("a")
    assert callers[3].is_inside
    assert (door.keeper.inside, door.keeper.waiting) == (2, 0)
    assert door.keeper.report().waiting_max == 2


def test_a_crowd_behind_one_address_holds_up_nobody_else() -> None:
    door = Door(DoorLimits(total_max=8, per_source_max=4))
    crowd = [door.call("crowd") for _ in range(100)]
    assert sum(caller.is_inside for caller in crowd) == 4
    others = [door.call(f"other {number}") for number in range(8)]
    assert [caller.is_inside for caller in others] == [True] * 4 + [False] * 4
    served = 0
    while not all(caller.is_inside for caller in others):  # places become free one after another
        door.keeper.leave("crowd")
        served += 1
    assert served <= 8  # they take turns with the crowd, which came before them


def test_sources_take_turns() -> None:
    door = Door(DoorLimits(total_max=1, per_source_max=1))
    door.call("first")
    callers = {source: [door.call(source) for _ in range(2)] for source in "abc"}
    order = []
    inside = "first"
    for _ in range(6):
        door.keeper.leave(inside)
        (inside,) = door.keeper._inside
        order.append(inside)
    assert order == ["a", "b", "c", "a", "b", "c"]
    assert all(caller.is_inside for pair in callers.values() for caller in pair)


def test_the_line_is_bounded_in_all_and_per_source() -> None:
    limits = DoorLimits(total_max=1, per_source_max=1, waiting_max=5, waiting_per_source_max=3)
    door = Door(limits)
    door.call("a")
    assert [door.keeper.enter("a", Caller()) for _ in range(4)] == [None] * 3 + [Refusal.FULL]
    assert [door.keeper.enter("b", Caller()) for _ in range(3)] == [None] * 2 + [Refusal.FULL]
    assert door.keeper.waiting == 5


def test_a_full_line_makes_room_for_a_source_that_has_fewer_in_it() -> None:
    """Else a few addresses that fill it again and again would keep everybody else out."""
    door = Door(DoorLimits(total_max=2, per_source_max=1, waiting_max=4, waiting_per_source_max=3))
    for source in ("a", "b"):
        door.call(source)
    crowd = [door.call("a") for _ in range(3)]
    door.call("b")
    lonely = door.call("c")
    assert [caller.refusal for caller in crowd] == [None, None, Refusal.FULL]
    assert door.keeper.waiting == 4
    assert door.enter("b") is Refusal.FULL, "it would have as many as the longest"
    assert door.enter("a") is Refusal.FULL
    door.keeper.leave("b")
    door.keeper.leave("b")
    assert lonely.is_inside
    assert sum(door.keeper.report().turned_away.values()) == 3


def test_who_waited_too_long_is_turned_away_instead_of_logged_in_late() -> None:
    door = Door(DoorLimits(total_max=1, per_source_max=1, waiting_s=6))
    door.call("a")
    late, fresh = door.call("b"), None
    door.now = 4.0
    fresh = door.call("c")
    door.now = 6.1
    door.keeper.leave("a")
    assert late.refusal is Refusal.WAITED
    assert fresh.is_inside
    assert door.keeper.report().turned_away["waited"] == 1


def test_a_line_is_no_way_around_the_penalty() -> None:
    door = Door(DoorLimits(total_max=1, per_source_max=1, free_failures=0))
    door.call("a")
    guesser, honest = door.call("a"), door.call("b")
    door.keeper.failed("a")
    door.keeper.leave("a")
    assert guesser.refusal is Refusal.PENALTY
    assert honest.is_inside


def test_who_leaves_the_line_is_forgotten() -> None:
    door = Door(DoorLimits(total_max=1, per_source_max=1))
    door.call("a")
    gone, stays = door.call("a"), door.call("a")
    door.keeper.give_up("a", gone)
    door.keeper.give_up("a", gone)
    assert door.keeper.waiting == 1
    door.keeper.leave("a")
    assert stays.is_inside
    assert not gone.is_inside


@given(
    st.lists(st.tuples(st.sampled_from(["come", "leave", "give up", "fail", "wait"]), st.integers(0, 3)), max_size=80)
)
def test_no_place_is_lost_and_none_is_free_while_somebody_could_have_it(steps: list[tuple[str, int]]) -> None:
    limits = DoorLimits(total_max=4, per_source_max=2, waiting_max=6, waiting_per_source_max=3, free_failures=2)
    door = Door(limits)
    callers: list[tuple[str, Caller]] = []
    for what, number in steps:
        source = f"source {number}"
        inside = [entry for entry in callers if entry[0] == source and entry[1].is_inside]
        waiting = [
            entry for entry in callers if entry[0] == source and not entry[1].is_inside and entry[1].refusal is None
        ]
        if what == "come":
            caller = Caller()
            if door.keeper.enter(source, caller) is None:
                callers.append((source, caller))
        elif what == "leave" and inside:
            callers.remove(inside[0])
            door.keeper.leave(source)
        elif what == "give up" and waiting:
            callers.remove(waiting[0])
            door.keeper.give_up(source, waiting[0][1])
        elif what == "fail":
            door.keeper.failed(source)
        elif what == "wait":
            door.now += number
        counts = {name: sum(1 for at, caller in callers if at == name and caller.is_inside) for name, _ in callers}
        in_line = [name for name, caller in callers if not caller.is_inside and caller.refusal is None]
        assert door.keeper.inside == sum(counts.values()) <= limits.total_max
        assert door.keeper.waiting == len(in_line) <= limits.waiting_max
        assert all(count <= limits.per_source_max for count in counts.values())
        if door.keeper.inside < limits.total_max:
            assert all(counts[name] == limits.per_source_max for name in in_line)


def test_the_penalty_grows_up_to_its_bound() -> None:
    door = Door(DoorLimits(free_failures=2, penalty_max_s=8, forgive_s=1e9))
    for _ in range(2):
        door.keeper.failed("a")
        assert door.enter("a") is None
        door.keeper.leave("a")
    for penalty_s in (1, 2, 4, 8, 8):
        door.keeper.failed("a")
        door.now += penalty_s - 0.1
        assert door.enter("a") is Refusal.PENALTY
        assert door.enter("b") is None
        door.keeper.leave("b")
        door.now += 0.2
        assert door.enter("a") is None
        door.keeper.leave("a")


def test_revoked_agents_in_the_slow_lane_never_bar_their_neighbours() -> None:
    """Six of them with two tunnels each, an hour long, and nobody's login that would forgive anything."""
    door = Door()
    randomness = random.Random(1)
    attempts = [(randomness.uniform(0, 60), number) for number in range(6 * TunnelConfig().tunnels)]
    heapq.heapify(attempts)
    while (at := attempts[0])[0] < 3600:
        door.now = at[0]
        assert door.enter("a") is None
        door.keeper.leave("a")
        door.keeper.failed("a")
        heapq.heapreplace(attempts, (at[0] + randomness.uniform(30, 60), at[1]))  # as ``Backoff.wait_s`` in that lane


def test_however_long_it_failed_all_is_forgiven_within_minutes() -> None:
    door = Door()
    for _ in range(10_000):
        door.keeper.failed("a")
    door.now += 20 * DoorLimits().forgive_s
    for _ in range(DoorLimits().free_failures):
        door.keeper.failed("a")
        assert door.enter("a") is None
        door.keeper.leave("a")


def test_a_login_forgives() -> None:
    door = Door()
    for _ in range(20):
        door.keeper.failed("a")
    assert door.enter("a") is Refusal.PENALTY
    door.keeper.succeeded("a")
    assert door.enter("a") is None


def test_memory_is_bounded() -> None:
    door = Door()
    for number in range(SOURCES_MAX + 500):
        door.keeper.failed(f"source {number}")
    assert len(door.keeper._records) == SOURCES_MAX


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_what_counts_as_one_source(address: str, source: str) -> None:
    assert source_of(address) == source
