"""One row of the matrix: a fault, how it is noticed, and its cells. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.faults.expectation import Cells, Column

LIMIT_S = 2.0
"""The dead-link limit in cells, on both sides."""

SILENCE_S = LIMIT_S + 5.0
"""Within so many seconds a link that is silent must have been replaced: limit, back-off, login, a busy machine."""

RESTART_S = 20.0
"""Within so many seconds a program that was started anew must serve: most of it is the start of the process."""


class Noticed(Enum):
    """How the end of a tunnel, or of an exchange, is noticed."""

    NEVER = "never"
    AT_ONCE = "at once"
    SILENCE = "silence"
    NEXT_BYTE = "next byte"
    LIMIT = "limit"
    RESTART = "restart"


class Phase(Enum):
    """When the fault strikes."""

    BEFORE = "before the request"
    WHILE = "all the time"
    DURING = "in the middle of the request"
    BY_CLIENT = "by what the client does"


@dataclass(frozen=True, slots=True)
class Row:
    """A fault.

    ``title`` and ``story`` stand in the docs. ``loses_tunnels`` is how many tunnels the agent must lose and make anew
    in it. ``recovers_s``: within so many seconds after the strike (after its end, for a fault that strikes before the
    request) a plain GET must have succeeded. ``repeats``: strikes of each cell, between the two looks for leaks.
    ``takes_s``: a request that was answered sooner did not meet the fault. ``limits`` are the settings that end the
    wait; ``renamed`` says what runs in a column, where it is not what its name says.
    """

    key: str
    title: str
    story: str
    noticed: Noticed
    phase: Phase
    cells: Cells
    loses_tunnels: bool = False
    recovers_s: float = 5.0
    repeats: int = 20
    bulk_bytes: int = 256 << 10
    store_patience_s: float = 10.0
    takes_s: Mapping[Column, float] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    renamed: Mapping[Column, str] = field(default_factory=dict)
