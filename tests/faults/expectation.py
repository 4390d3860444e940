"""What a cell of the matrix asserts, as values: who gets which answer, and what the store must have done. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.errors import ExchangeError, TunnelLost


class Column(Enum):
    """What runs when the fault strikes; the value stands in tables."""

    IDLE = "idle"
    GET = "one GET"
    GETS = "64 GETs"
    POST = "one POST"
    UPLOAD = "upload"
    DOWNLOAD = "download"

    @property
    def key(self) -> str:
        """The name on the command line."""
        return self.name.lower()

    @property
    def is_write(self) -> bool:
        """True when the store changes something."""
        return self in (Column.POST, Column.UPLOAD)


class End(Enum):
    """How a client's request ends."""

    ANSWER = "the answer, whole"
    ERROR = "an error"
    RESET = "a reset in the middle of the answer (never a clean end)"
    BROKEN = "its connection ends without a whole answer"
    LEFT = "nothing: it has left"
    NOTHING = "nothing: no request runs"


@dataclass(frozen=True, slots=True)
class Sees:
    """What the client sees. ``unknown``: the error says ``outcome: unknown``."""

    end: End
    error: type[ExchangeError] | None = None
    unknown: bool = False

    def __str__(self) -> str:
        if self.error is None:
            return self.end.value
        unknown = " with `outcome: unknown` and the request id" if self.unknown else ""
        return f"{self.error.status} [`{self.error.name}`](errors.md#{self.error.name}){unknown}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; numbers are per request, least and most.

    ``asked``: heads of it that reached the store. ``carried_out``: times that the store had it whole; for a write that
    is what it did. More than once would be a write that was repeated. ``waiting`` is what those see that
    waited for their turn when the fault struck, where that is something else.
    """

    sees: Sees
    asked: tuple[int, int] = (1, 1)
    carried_out: tuple[int, int] = (1, 1)
    waiting: Sees | None = None


ANSWER = Sees(End.ANSWER)
RESET = Sees(End.RESET)
BROKEN = Sees(End.BROKEN)
LEFT = Sees(End.LEFT)
NOTHING = Sees(End.NOTHING)

Cells = dict[Column, Cell]

IDLE = Cell(NOTHING, (0, 0), (0, 0))
WHOLE = Cell(ANSWER)
REPEATED = Cell(ANSWER, (1, 3), (1, 3))


def error(kind: type[ExchangeError], *, unknown: bool = False) -> Sees:
    """An answer of ours."""
    return Sees(End.ERROR, kind, unknown)


def never(sees: Sees) -> Cell:
    """The store is not asked."""
    return Cell(sees, (0, 0), (0, 0))


def each(read: Cell, write: Cell, **others: Cell) -> Cells:
    """The same for all reads and for all writes; ``others`` by the key of their column."""
    cells = {column: IDLE if column is Column.IDLE else write if column.is_write else read for column in Column}
    return cells | {Column[key.upper()]: cell for key, cell in others.items()}


LOST_WRITE = error(TunnelLost, unknown=True)

UNHARMED = each(WHOLE, WHOLE)
"""Everybody gets the store's answer."""

TUNNEL_GONE = each(REPEATED, Cell(LOST_WRITE), upload=Cell(LOST_WRITE, carried_out=(0, 0)), download=Cell(RESET))
"""The tunnel breaks in the middle of what it carries."""
