"""The table of the matrix is whole, and keeps the contract that no row may bend."""

from __future__ import annotations

import pytest

from agent.errors import BY_NAME
from tests.faults.expectation import Column, End
from tests.faults.faults import FAULTS
from tests.faults.row import Phase, Row
from tests.faults.rows import BY_KEY, ROWS

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)


def test_every_row_has_its_fault_and_a_key_of_its_own() -> None:
    assert len(BY_KEY) == len(ROWS)
    assert {row.key for row in ROWS if row.phase is not Phase.BY_CLIENT} == set(FAULTS)


@rows
def test_every_column_is_there(row: Row) -> None:
    assert list(row.cells) == list(Column)


@rows
def test_no_write_may_be_asked_for_twice(row: Row) -> None:
    for column, cell in row.cells.items():
        if column.is_write:
            assert cell.asked[1] <= 1
            assert cell.carried_out[1] <= 1


@rows
def test_a_write_that_the_store_may_have_and_that_failed_is_unknown(row: Row) -> None:
    for column, cell in row.cells.items():
        if cell.sees.end is End.ERROR and cell.sees.error is not None:
            assert cell.sees.error.name in BY_NAME
            assert cell.sees.unknown == (column.is_write and cell.asked[1] > 0)
