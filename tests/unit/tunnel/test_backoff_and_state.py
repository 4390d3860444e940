"""Waiting between attempts, the slow lane, and the table of states."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tunnel.backoff import Backoff, BackoffLimits
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.state import TRANSITIONS, Event, State, WrongTransitionError, step

LOST = Ending(EndReason.LOST)
REPLACED = Ending(EndReason.REPLACED)


class Clock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def backoff(clock: Clock, chance: float = 0.999999) -> Backoff:
    return Backoff(BackoffLimits(), clock, lambda: chance)


def test_the_bound_doubles_up_to_the_cap() -> None:
    waits = backoff(Clock())
    bounds = [waits.wait_s(LOST, slow=False) for _ in range(10)]
    assert [round(bound, 3) for bound in bounds] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_full_jitter_begins_at_nothing() -> None:
    waits = backoff(Clock(), chance=0.0)
    assert [waits.wait_s(LOST, slow=False) for _ in range(5)] == [0.0] * 5


def test_it_starts_anew_only_after_thirty_seconds_ready() -> None:
    clock = Clock()
    waits = backoff(clock)
    for _ in range(6):
        waits.wait_s(LOST, slow=False)
    waits.ready()
    clock.now += 29.9
    assert waits.wait_s(LOST, slow=False) > 30  # accepted and dropped: the bound goes on growing
    waits.ready()
    clock.now += 30
    assert waits.wait_s(LOST, slow=False) < 0.51


def test_being_ready_long_ago_does_not_count_twice() -> None:
    clock = Clock()
    waits = backoff(clock)
    waits.ready()
    clock.now += 31
    waits.wait_s(LOST, slow=False)
    clock.now += 100  # failing all the time
    assert waits.wait_s(LOST, slow=False) > 0.9


def test_after_a_wake_up_the_bounds_begin_anew() -> None:
    waits = backoff(Clock())
    for _ in range(8):
        waits.wait_s(LOST, slow=False)
    waits.restart()
    assert [round(waits.wait_s(LOST, slow=False), 3) for _ in range(3)] == [0.5, 1, 2]


def test_a_wake_up_forgets_no_eviction() -> None:
    """Two machines with one identity stay two, however often one of them sleeps."""
    waits = backoff(Clock())
    waits.is_slow(REPLACED)
    waits.restart()
    assert waits.is_slow(REPLACED)


def test_hints_are_obeyed_and_clamped_and_spread() -> None:
    hinted = Ending(EndReason.SERVER_LEFT, hint_s=4)
    assert backoff(Clock(), 0.0).wait_s(hinted, slow=False) == 4
    assert backoff(Clock(), 0.999999).wait_s(hinted, slow=False) == pytest.approx(6, rel=1e-3)
    assert backoff(Clock(), 0.0).wait_s(Ending(EndReason.SERVER_LEFT, hint_s=1e9), slow=False) == 300


def test_a_goodbye_with_a_time_to_come_back_is_no_failure_however_often_a_server_is_restarted() -> None:
    waits = backoff(Clock(), 0.999999)
    for _ in range(8):
        waits.wait_s(LOST, slow=False)
    for _ in range(3):
        waits.ready()
        assert waits.wait_s(Ending(EndReason.SERVER_LEFT, hint_s=2), slow=False) == pytest.approx(3, rel=1e-3)
    assert waits.wait_s(LOST, slow=False) == pytest.approx(1, rel=1e-3), "and the first failure after it is a first one"


def test_a_server_that_says_goodbye_at_once_and_for_ever_is_not_hammered() -> None:
    waits = backoff(Clock(), 0.999999)
    hinted = Ending(EndReason.SERVER_LEFT, hint_s=0.1)
    for _ in range(10):
        waits.ready()
        waits.wait_s(hinted, slow=False)
    assert waits.wait_s(hinted, slow=False) > 50


def test_a_hint_of_nothing_does_not_make_it_hammer() -> None:
    waits = backoff(Clock())
    hinted = Ending(EndReason.SERVER_LEFT, hint_s=0)
    assert [round(waits.wait_s(hinted, slow=False), 3) for _ in range(4)] == [0.5, 1, 2, 4]


def test_the_slow_lane_is_the_cap() -> None:
    refused = Ending(EndReason.TOKEN_REFUSED)
    assert backoff(Clock(), 0.0).wait_s(refused, slow=True) == 30
    assert backoff(Clock(), 0.999999).wait_s(refused, slow=True) == pytest.approx(60, rel=1e-3)


def test_one_whose_place_is_taken_looks_again_while_requests_are_kept_for_a_holder_that_left() -> None:
    taken = Ending(EndReason.PLACE_TAKEN)
    assert backoff(Clock(), 0.0).wait_s(taken, slow=True) == 15
    assert backoff(Clock(), 0.999999).wait_s(taken, slow=True) == pytest.approx(30, rel=1e-3)


def test_who_goes_to_the_slow_lane() -> None:
    slow = {reason for reason in EndReason if backoff(Clock()).is_slow(Ending(reason))}
    assert slow == {
        EndReason.PROXY_REFUSED,
        EndReason.WRONG_HOST_KEY,
        EndReason.TOKEN_REFUSED,
        EndReason.NOT_GRANTED,
        EndReason.PLACE_TAKEN,
        EndReason.REVOKED,
        EndReason.DISABLED,
    }


def test_two_evictions_within_a_minute_go_to_the_slow_lane() -> None:
    clock = Clock()
    waits = backoff(clock)
    assert not waits.is_slow(REPLACED)
    clock.now += 61
    assert not waits.is_slow(REPLACED)
    clock.now += 59
    assert waits.is_slow(REPLACED)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(EndReason)),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            st.floats(0, 1, exclude_max=True),
            st.floats(0, 1000),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_no_wait_is_negative_or_over_the_bounds(
    steps: list[tuple[EndReason, float | None, float, float, bool]],
) -> None:
    clock = Clock()
    chances = iter([chance for _, _, chance, _, _ in steps])
    waits = Backoff(BackoffLimits(), clock, lambda: next(chances))
    for reason, hint_s, _, passed, was_ready in steps:
        if was_ready:
            waits.ready()
        clock.now += passed
        ending = Ending(reason, hint_s=hint_s)
        wait_s = waits.wait_s(ending, slow=waits.is_slow(ending))
        assert 0 <= wait_s <= (450 if hint_s is not None else 60)


def test_a_thousand_agents_do_not_come_back_together() -> None:
    arrivals = []
    for seed in range(1000):
        waits = Backoff(BackoffLimits(), Clock(), random.Random(seed).random)
        arrivals += list(itertools.accumulate(waits.wait_s(LOST, slow=False) for _ in range(6)))
    arrivals.sort()
    late = [at for at in arrivals if at > 8]
    peak = max(sum(1 for at in late if begin <= at < begin + 1) for begin in range(8, 40))
    assert peak < 250


def test_every_state_can_stop_and_closed_leads_nowhere_else() -> None:
    for state in State:
        assert step(state, Event.STOP) is State.CLOSED
    assert {event for state, event in TRANSITIONS if state is State.CLOSED} == {Event.STOP}


def test_the_way_of_a_good_tunnel() -> None:
    state = State.IDLE
    seen = [state]
    for event in (Event.DIAL, Event.CONNECTED, Event.WELCOMED, Event.DRAIN, Event.ENDED, Event.DIAL):
        state = step(state, event)
        seen.append(state)
    assert seen == [
        State.IDLE,
        State.CONNECTING,
        State.AUTHENTICATING,
        State.READY,
        State.DRAINING,
        State.WAITING,
        State.CONNECTING,
    ]


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.IDLE, Event.WELCOMED),
        (State.CONNECTING, Event.WELCOMED),
        (State.READY, Event.DIAL),
        (State.WAITING, Event.DRAIN),
        (State.CLOSED, Event.DIAL),
        (State.SLOW, Event.CONNECTED),
    ],
)
def test_other_ways_are_defects(state: State, event: Event) -> None:
    with pytest.raises(WrongTransitionError):
        step(state, event)


def test_every_state_is_reached() -> None:
    assert {*TRANSITIONS.values(), State.IDLE} == set(State)
