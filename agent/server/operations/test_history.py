"""The tests that were made of each connection, the newest kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import RowMapping, delete, func, insert, select

from agent.doctor.report import CheckReport
from agent.server.db.watch_tables import CONNECTION_TESTS
from agent.server.operations.checks import ConnectionTest
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.paging import Listed, Paging

Cause = Literal["person", "schedule", "tunnel"]


@dataclass(frozen=True, slots=True)
class TestRecord:
    """One test; ``at`` is unix time."""

    __test__ = False  # the name is the product's, not pytest's

    id: int
    connection_id: str
    at: float
    cause: Cause
    report: CheckReport


async def record_test(plane: ControlPlane, test: ConnectionTest, cause: Cause) -> None:
    """Keep a test of a saved connection, and forget the oldest beyond the limit."""
    table = CONNECTION_TESTS
    async with plane.note() as connection:
        await connection.execute(
            insert(table).values(
                connection_id=test.connection_id,
                at=plane.clock(),
                cause=cause,
                ok=test.report.ok,
                verdict=test.report.verdict,
                elapsed_ms=test.report.elapsed_ms,
                report=test.report.to_json(),
            )
        )
        own = select(table.c.id).where(table.c.connection_id == test.connection_id)
        kept = own.order_by(table.c.id.desc()).limit(plane.facts.test_history_max)
        await connection.execute(
            delete(table).where(table.c.connection_id == test.connection_id, table.c.id.not_in(kept))
        )


async def list_tests(plane: ControlPlane, connection_id: str, paging: Paging) -> Listed[TestRecord]:
    """The tests of one connection, newest first."""
    query = select(CONNECTION_TESTS).where(CONNECTION_TESTS.c.connection_id == connection_id)
    async with plane.read() as connection:
        return await paging.run(connection, query.order_by(CONNECTION_TESTS.c.id.desc()), _record)


async def newest_tests(plane: ControlPlane) -> dict[str, TestRecord]:
    """The last test of each connection, by connection id."""
    newest = select(func.max(CONNECTION_TESTS.c.id)).group_by(CONNECTION_TESTS.c.connection_id)
    query = select(CONNECTION_TESTS).where(CONNECTION_TESTS.c.id.in_(newest))
    async with plane.read() as connection:
        return {row["connection_id"]: _record(row) for row in (await connection.execute(query)).mappings()}


def _record(row: RowMapping) -> TestRecord:
    return TestRecord(row["id"], row["connection_id"], row["at"], row["cause"], CheckReport.from_json(row["report"]))
