"""One of the three processes as it is shown: its state and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.demo.process import DemoProcess


class ActorState(Enum):
    """Where a process stands."""

    WAITING = "waiting"
    STARTING = "starting"
    UP = "up"
    ENDED = "ended"


@dataclass(slots=True)
class Actor:
    """A process with what a person wants to know of it; ``facts`` are two short lines once it is up."""

    title: str
    process: DemoProcess
    state: ActorState = ActorState.WAITING
    facts: tuple[str, ...] = ()
    ready_after_s: float = 0.0
