"""One tunnel of the agent at one moment. Pure: values only."""

from __future__ import annotations

from dataclasses import dataclass

from agent.tunnel.acceleration import Acceleration
from agent.tunnel.ending import Ending
from agent.tunnel.state import State


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """One tunnel as ``status`` shows it, ages in seconds.

    ``since_s`` is how long it is in this state, ``down_s`` how long it is not up (since the start: never was).
    ``acceleration`` is None while no tunnel is up.
    """

    index: int
    state: State
    server: str
    since_s: float
    attempts: int
    down_s: float | None
    last_ending: Ending | None
    last_ending_age_s: float | None
    server_version: str
    round_trip_s: float | None
    last_answer_age_s: float | None
    open_channels: int
    next_attempt_in_s: float | None
    acceleration: Acceleration | None
