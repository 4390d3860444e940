"""What commands print: JSON for programs, plain columns for people."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

PANEL_UNKNOWN: Final = (
    "\nPut the address of the panel before it, such as https://panel.example.com. To have it printed whole, set\n"
    "public_panel_url in the settings file, or ask while integration-server serve runs."
)
"""What follows a path of the panel, where nobody knows the panel's address."""


def print_json(answer: object) -> None:
    """The API's answer as it is, indented."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Columns as wide as their longest value; ``empty`` is said, with what to do next, when there is no row."""
    if not rows:
        click.echo(empty)
        return
    texts = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(_width(text[index]) for text in texts) for index in range(len(columns))]
    for text in texts:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(text, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def print_list(
    found: Sequence[dict[str, Any]],
    columns: Mapping[str, Callable[[dict[str, Any]], object]],
    empty: str,
    *,
    as_json: bool,
) -> None:
    """What was listed, as JSON or as a table; ``columns`` says what stands under each heading."""
    if as_json:
        print_json(found)
    else:
        print_table(tuple(columns), [[value(each) for value in columns.values()] for each in found], empty)


def print_record(record: Mapping[str, object]) -> None:
    """One thing: a line for each label; further values of a list stand below the first."""
    width = max(map(len, record))
    for label, value in record.items():
        lines = list(value) if isinstance(value, list | tuple) else [value]
        for index, line in enumerate(lines or [None]):
            click.echo(f"{'' if index else label:<{width}}  {_cell(line)}".rstrip())


def print_outcome(answer: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    """What became of one thing: the answer as JSON, or ``sentence`` filled in from it."""
    if as_json:
        print_json(answer)
    else:
        click.echo(sentence.format_map(answer))


def moment(text: str | None, absent: str = "never") -> str:
    """An ISO time of the API as ``2026-11-23 14:05 UTC``."""
    if text is None:
        return absent
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _cell(value: object) -> str:
    text = "-" if value is None or value == "" else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
