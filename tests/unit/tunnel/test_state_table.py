"""The table of a tunnel's states is whole: every pair of state and event leads somewhere or is a defect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tunnel.state import TRANSITIONS, Event, State, WrongTransitionError, step

DOCS = Path(__file__).resolve().parents[3] / "docs" / "development.md"

# Written by hand, not derived from the table: rows are states, columns events, "." is a defect.
COLUMNS = (
    Event.DIAL,
    Event.CONNECTED,
    Event.WELCOMED,
    Event.DRAIN,
    Event.ENDED,
    Event.ENDED_FOR_A_PERSON,
    Event.STOP,
)
TABLE = """
idle            connecting  .               .      .         .        .     closed
connecting      .           authenticating  .      .         waiting  slow  closed
authenticating  .           .               ready  .         waiting  slow  closed
ready           .           .               .      draining  waiting  slow  closed
draining        .           .               .      draining  waiting  slow  closed
waiting         connecting  .               .      .         .        .     closed
slow            connecting  .               .      .         .        .     closed
closed          .           .               .      .         .        .     closed
"""
EXPECTED = {
    (State(name), event): None if cell == "." else State(cell)
    for name, *cells in (line.split() for line in TABLE.strip().splitlines())
    for event, cell in zip(COLUMNS, cells, strict=True)
}


def test_the_matrix_has_every_state_and_every_event() -> None:
    assert set(EXPECTED) == {(state, event) for state in State for event in Event}
    assert set(TRANSITIONS) <= set(EXPECTED)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_each_pair_leads_where_it_should_or_is_a_defect(state: State, event: Event) -> None:
    expected = EXPECTED[state, event]
    if expected is not None:
        assert step(state, event) is expected
        return
    with pytest.raises(WrongTransitionError, match=f"^{event.value} in state {state.value}$"):
        step(state, event)


def reachable(start: State, *, without: frozenset[Event] = frozenset()) -> set[State]:
    found, new = {start}, [start]
    while new:
        state = new.pop()
        for (source, event), target in TRANSITIONS.items():
            if source is state and event not in without and target not in found:
                found.add(target)
                new.append(target)
    return found


def test_nothing_but_stop_keeps_a_tunnel_from_becoming_ready_again() -> None:
    for state in set(State) - {State.CLOSED}:
        assert reachable(state, without=frozenset({Event.STOP})) == set(State) - {State.CLOSED} - (
            {State.IDLE} if state is not State.IDLE else set()
        )
    assert reachable(State.CLOSED) == {State.CLOSED}


# -- what a keeper does, whatever the network does --------------------------------------------------------------------

WAYS_OF_AN_ATTEMPT = st.sampled_from(
    [
        (),  # no TCP connection
        (Event.CONNECTED,),  # no login, or no welcome
        (Event.CONNECTED, Event.WELCOMED),
        (Event.CONNECTED, Event.WELCOMED, Event.DRAIN),
        (Event.CONNECTED, Event.WELCOMED, Event.DRAIN, Event.DRAIN),  # both sides want to leave
    ]
)
ENDS = st.sampled_from([Event.ENDED, Event.ENDED_FOR_A_PERSON])
LIVES = st.lists(st.tuples(WAYS_OF_AN_ATTEMPT, ENDS), max_size=30)


@given(LIVES, st.integers(0, 200))
def test_a_keeper_never_takes_a_wrong_step_whenever_it_is_stopped(
    attempts: list[tuple[tuple[Event, ...], Event]], stopped_after: int
) -> None:
    """As ``TunnelKeeper.run`` makes them: dial, some way, an end, again; a stop may come between any two steps."""
    events = [event for way, end in attempts for event in (Event.DIAL, *way, end)]
    state = State.IDLE
    for number, event in enumerate(events):
        if number == stopped_after:
            break
        before, state = state, step(state, event)
        # Only a tunnel that was welcomed can be ready, and only one that was ready can drain.
        assert state is not State.READY or before is State.AUTHENTICATING
        assert state is not State.DRAINING or before in (State.READY, State.DRAINING)
        assert (state is State.SLOW) == (event is Event.ENDED_FOR_A_PERSON)
    assert step(state, Event.STOP) is State.CLOSED


@given(st.lists(st.sampled_from(Event), max_size=60))
def test_whatever_happens_a_closed_tunnel_stays_closed_and_a_defect_changes_nothing(events: list[Event]) -> None:
    state, stopped = State.IDLE, False
    for event in events:
        try:
            state = step(state, event)
        except WrongTransitionError:
            assert (state, event) not in TRANSITIONS
            continue
        stopped = stopped or event is Event.STOP
        assert (state is State.CLOSED) == stopped


# -- the picture in the documentation ---------------------------------------------------------------------------------


def test_the_diagram_in_the_documentation_is_the_table() -> None:
    diagram = DOCS.read_text().partition("```mermaid\nstateDiagram-v2\n")[2].partition("```")[0]
    drawn = {
        (source, event.strip(), target)
        for source, target, events in re.findall(r"^ +(\w+) --> (\w+): (.+)$", diagram, re.MULTILINE)
        for event in events.split(",")
    }
    said = {
        (source.value, event.value, target.value)
        for (source, event), target in TRANSITIONS.items()
        if event is not Event.STOP
    }
    assert drawn == said
    assert "[*] --> idle" in diagram
