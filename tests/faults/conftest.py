"""Options of the fault matrix, its lanes, and its table.

``make faults`` runs every cell; without ``--all-faults`` (or a row or column by name) only the subset runs.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.lanes import Lanes
from tests.faults.report import PROPERTY, Outcome, table


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options; pytest knows them when tests/faults is named on the command line."""
    group = parser.getgroup("faults")
    group.addoption("--all-faults", action="store_true", help="every cell of the fault matrix")
    group.addoption("--row", action="append", default=[], help="only this row of the matrix, by its key")
    group.addoption(
        "--column", action="append", default=[], help="only this column: idle get gets post upload download"
    )
    group.addoption("--repeats", type=int, help="strikes of each cell, instead of the row's own number")
    group.addoption("--faults-json", type=Path, help="write the outcomes there")
    group.addoption("--faults-markdown", type=Path, help="write the table there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what was not asked for."""
    rows, columns = set(config.getoption("--row", [])), set(config.getoption("--column", []))
    everything = config.getoption("--all-faults", default=False)
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        cell = item.get_closest_marker("faults")
        if cell is None:
            kept.append(item)
            continue
        row, column = cell.kwargs["row"], cell.kwargs["column"]
        named = (not rows or row in rows) and (not columns or column in columns)
        wanted = named if rows or columns else everything or cell.kwargs["subset"]
        (kept if wanted else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table, and write it where that was asked for."""
    found = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            found += [Outcome(**value) for name, value in report.user_properties if name == PROPERTY]
    if not found:
        return
    terminalreporter.section("fault matrix: outcome, and median time until a plain GET succeeds again")
    for line in table(found):
        terminalreporter.write_line(line)
    strikes = sum(outcome.strikes for outcome in found)
    longest = max(found, key=lambda outcome: outcome.longest_s)
    terminalreporter.write_line(
        f"{len(found)} cells, {strikes} strikes; "
        f"longest recovery {longest.longest_s:.1f} s ({longest.row}/{longest.column})"
    )
    if (path := config.getoption("--faults-json", default=None)) is not None:
        path.write_text(json.dumps([outcome.to_json() for outcome in found], indent=1) + "\n")
    if (path := config.getoption("--faults-markdown", default=None)) is not None:
        path.write_text("\n".join(table(found, markdown=True)) + "\n")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lanes() -> AsyncIterator[Lanes]:
    """The installation that this process's cells share, made anew after a failure."""
    directory = Path(tempfile.mkdtemp(prefix="faults-"))  # short: paths of Unix sockets have 107 bytes
    lanes = Lanes(directory)
    try:
        yield lanes
    finally:
        await lanes.close()
        shutil.rmtree(directory, ignore_errors=True)
