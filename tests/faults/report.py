"""The matrix as a table: what came of each cell, and how long until a plain GET succeeded again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tests.faults.expectation import Column
from tests.faults.rows import ROWS

PROPERTY = "fault_cell"
"""Under this name an ``Outcome`` is handed from the process that ran the cell to the one that prints the table."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One cell: ``outcome`` is ok or failed; recovery is the median and the longest of all its strikes, in seconds."""

    row: str
    column: str
    outcome: str
    strikes: int
    median_s: float
    longest_s: float
    took_s: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.outcome} {_shown(self.median_s)}" if self.outcome == "ok" else self.outcome.upper()


def table(outcomes: Iterable[Outcome], *, markdown: bool = False) -> list[str]:
    """Rows and columns in their order, as lines of text; cells that did not run are empty."""
    found = {(outcome.row, outcome.column): outcome for outcome in outcomes}
    lines = [["", *(column.value for column in Column)]]
    for row in ROWS:
        cells = [found.get((row.key, column.key)) for column in Column]
        if any(cells):
            lines.append([row.key, *(str(cell) if cell is not None else "" for cell in cells)])
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    shown = [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines]
    if not markdown:
        return ["  ".join(line).rstrip() for line in shown]
    ruled = [shown[0], ["-" * width for width in widths], *shown[1:]]
    return ["| " + " | ".join(line) + " |" for line in ruled]


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
