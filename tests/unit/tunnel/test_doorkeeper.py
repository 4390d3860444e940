"""Places for those who are not logged in, and the penalty for failing."""

from __future__ import annotations

import pytest

from agent.server.doorkeeper import SOURCES_MAX, Doorkeeper, DoorLimits, Refusal, source_of


class Door:
    """A doorkeeper and its clock."""

    def __init__(self, limits: DoorLimits | None = None) -> None:
        self.now = 0.0
        self.keeper = Doorkeeper(limits or DoorLimits(), lambda: self.now)


def test_places_per_source_and_in_all() -> None:
    keeper = Door(DoorLimits(total_max=10, per_source_max=4)).keeper
    assert [keeper.enter("a") for _ in range(5)] == [None] * 4 + [Refusal.SOURCE_FULL]
    assert [keeper.enter("b") for _ in range(4)] == [None] * 4
    assert [keeper.enter("c") for _ in range(3)] == [None] * 2 + [Refusal.FULL]
    keeper.leave("a")
    assert keeper.enter("c") is None
    for source, count in (("a", 3), ("b", 4), ("c", 3)):
        for _ in range(count):
            keeper.leave(source)
    assert keeper.inside == 0
    assert not keeper._inside


def test_the_penalty_grows_up_to_its_bound() -> None:
    door = Door(DoorLimits(free_failures=2, penalty_max_s=8, forgive_s=1e9))
    for _ in range(2):
        door.keeper.failed("a")
        assert door.keeper.enter("a") is None
        door.keeper.leave("a")
    for penalty_s in (1, 2, 4, 8, 8):
        door.keeper.failed("a")
        door.now += penalty_s - 0.1
        assert door.keeper.enter("a") is Refusal.PENALTY
        assert door.keeper.enter("b") is None
        door.keeper.leave("b")
        door.now += 0.2
        assert door.keeper.enter("a") is None
        door.keeper.leave("a")


def test_an_agent_in_the_slow_lane_never_bars_its_neighbours() -> None:
    door = Door()
    for _ in range(200):
        door.keeper.failed("a")
        assert door.keeper.enter("a") is None
        door.keeper.leave("a")
        door.now += 30


def test_a_login_forgives() -> None:
    door = Door()
    for _ in range(20):
        door.keeper.failed("a")
    assert door.keeper.enter("a") is Refusal.PENALTY
    door.keeper.succeeded("a")
    assert door.keeper.enter("a") is None


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
