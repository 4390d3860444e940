"""The states of one tunnel and the only ways between them. Pure: standard library only."""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(Enum):
    """Where a tunnel is."""

    IDLE = "idle"
    CONNECTING = "connecting"  # name resolution and TCP
    AUTHENTICATING = "authenticating"  # key exchange, pin, secret, forward, hello
    READY = "ready"
    DRAINING = "draining"
    WAITING = "waiting"
    SLOW = "slow"
    CLOSED = "closed"


class Event(Enum):
    """What happens to it."""

    DIAL = "dial"
    CONNECTED = "connected"
    WELCOMED = "welcomed"
    DRAIN = "drain"
    ENDED = "ended"
    ENDED_FOR_A_PERSON = "ended_for_a_person"
    STOP = "stop"


class WrongTransitionError(Exception):
    """An event that cannot happen in this state: a defect of ours."""


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.IDLE, Event.DIAL): State.CONNECTING,
    (State.WAITING, Event.DIAL): State.CONNECTING,
    (State.SLOW, Event.DIAL): State.CONNECTING,
    (State.CONNECTING, Event.CONNECTED): State.AUTHENTICATING,
    (State.AUTHENTICATING, Event.WELCOMED): State.READY,
    (State.READY, Event.DRAIN): State.DRAINING,
    (State.DRAINING, Event.DRAIN): State.DRAINING,
    **{
        (state, Event.ENDED): State.WAITING
        for state in (State.CONNECTING, State.AUTHENTICATING, State.READY, State.DRAINING)
    },
    **{
        (state, Event.ENDED_FOR_A_PERSON): State.SLOW
        for state in (State.CONNECTING, State.AUTHENTICATING, State.READY, State.DRAINING)
    },
    **{(state, Event.STOP): State.CLOSED for state in State},
}


def step(state: State, event: Event) -> State:
    """The next state. Raises ``WrongTransitionError`` for what the table does not list."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise WrongTransitionError(f"{event.value} in state {state.value}") from None
