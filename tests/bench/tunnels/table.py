"""The tables of a run: medians, their spread, and ratios to two of the peers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

Values = Mapping[str, Sequence[float]]
"""By the name of a peer, what was measured in each round; empty where the peer could not do this work."""

NONE: Final = "-"


@dataclass(frozen=True)
class Column:
    """``ratio_to``: columns that divide each median by that of these peers. ``spread``: a column of least and most."""

    title: str
    values: Values
    digits: int = 0
    spread: bool = False
    ratio_to: tuple[str, ...] = ()


def table(title: str, columns: Sequence[Column], absent: Mapping[str, str]) -> str:
    """Markdown: a row for each peer; ``absent`` says of others why they were not measured."""
    heads = [title]
    for column in columns:
        heads += [column.title, *(["least to most"] if column.spread else [])]
        heads += [f"/ {peer}" for peer in column.ratio_to]
    names = list(dict.fromkeys(name for column in columns for name in column.values))
    rows = [[name, *(cell for column in columns for cell in _cells(column, name))] for name in names]
    rows += [[name, f"not measured: {why}", *[""] * (len(heads) - 2)] for name, why in absent.items()]
    return "\n".join(_line(row) for row in [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]) + "\n"


def ratio(values: Values, name: str, to: str) -> float | None:
    """Of the medians; None where one of them is not there or is 0."""
    mine, theirs = values.get(name), values.get(to)
    if not mine or not theirs or not median(mine) or not median(theirs):
        return None
    return median(mine) / median(theirs)


def _cells(column: Column, name: str) -> list[str]:
    values = column.values.get(name, ())
    if not values or not any(values):
        return [NONE] * (1 + column.spread + len(column.ratio_to))
    cells = [f"{median(values):.{column.digits}f}"]
    if column.spread:
        cells.append(f"{min(values):.{column.digits}f} to {max(values):.{column.digits}f}")
    ratios = [ratio(column.values, name, peer) for peer in column.ratio_to]
    return cells + [NONE if value is None else f"{value:.2f}" for value in ratios]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
