"""Rows of the matrix in which the client itself is the fault. Pure."""

from __future__ import annotations

from typing import Final

from agent.errors import ClientTimeout
from tests.faults.expectation import LEFT, RESET, WHOLE, Cell, Column, each, error, never
from tests.faults.row import Noticed, Phase, Row

CLIENT_ROWS: Final[tuple[Row, ...]] = (
    Row(
        "slow_client",
        "A client is slow, or stops in the middle",
        "A client that goes on, however slowly, is served. One that stops is given up after `client_head_timeout_s` or "
        "`client_stall_timeout_s`; other clients notice nothing.",
        Noticed.LIMIT,
        Phase.BY_CLIENT,
        each(
            WHOLE,
            WHOLE,
            idle=never(error(ClientTimeout)),
            upload=Cell(error(ClientTimeout, unknown=True), carried_out=(0, 0)),
            download=Cell(RESET),
        ),
        limits=("client_head_timeout_s", "client_stall_timeout_s"),
        renamed={
            Column.IDLE: "half a request's head, and no more",
            Column.GET: "one GET whose answer is read late",
            Column.GETS: "64 of them",
            Column.POST: "one POST, sent in small pieces",
            Column.UPLOAD: "half an upload, and no more",
            Column.DOWNLOAD: "a large download that is not read",
        },
    ),
    Row(
        "client_gone",
        "A client leaves in the middle",
        "Its request is given up everywhere, and the store's connection is closed; other clients notice nothing.",
        Noticed.AT_ONCE,
        Phase.BY_CLIENT,
        each(
            Cell(LEFT),
            Cell(LEFT),
            idle=never(LEFT),
            gets=Cell(LEFT, (0, 1), (0, 1)),
            upload=Cell(LEFT, carried_out=(0, 0)),
        ),
        renamed={Column.IDLE: "half a request's head"},
    ),
)
