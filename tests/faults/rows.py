"""The table of the matrix: faults x what runs, and what must come of it. Asserted by the cells, printed by the docs.

Expectations come from the contract in ``agent/errors.py`` and its rule that a write is never repeated. Pure.
"""

from __future__ import annotations

from typing import Final

from tests.faults.client_rows import CLIENT_ROWS
from tests.faults.link_rows import LINK_ROWS
from tests.faults.process_rows import PROCESS_ROWS
from tests.faults.row import Row
from tests.faults.store_rows import STORE_ROWS

ROWS: Final[tuple[Row, ...]] = (*LINK_ROWS, *PROCESS_ROWS, *STORE_ROWS, *CLIENT_ROWS)

BY_KEY: Final = {row.key: row for row in ROWS}
