"""Rows of the matrix whose fault is the store, or the way to it. Pure."""

from __future__ import annotations

from typing import Final

from agent.errors import StoreBadResponse, StoreTimeout, StoreUnreachable
from tests.faults.expectation import ANSWER, RESET, UNHARMED, Cell, each, error, never
from tests.faults.row import Noticed, Phase, Row

STORE_ROWS: Final[tuple[Row, ...]] = (
    Row(
        "store_down",
        "The store refuses connections",
        "Nothing is sent. As soon as the store is back, the next request is answered.",
        Noticed.AT_ONCE,
        Phase.BEFORE,
        each(never(error(StoreUnreachable)), never(error(StoreUnreachable))),
    ),
    Row(
        "store_hangs_before_head",
        "The store takes the request and never answers",
        "The agent waits for `store_first_byte_s`, and gives up the store's connection.",
        Noticed.LIMIT,
        Phase.BEFORE,
        each(Cell(error(StoreTimeout)), Cell(error(StoreTimeout, unknown=True))),
        store_patience_s=1.0,
        limits=("store_first_byte_s",),
    ),
    Row(
        "store_hangs_in_head",
        "The store stops in the middle of the answer's head",
        "The agent waits for `store_stall_s`, and gives up the store's connection.",
        Noticed.LIMIT,
        Phase.BEFORE,
        each(Cell(error(StoreTimeout)), Cell(error(StoreTimeout, unknown=True))),
        store_patience_s=1.0,
        limits=("store_stall_s",),
    ),
    Row(
        "store_hangs_in_body",
        "The store stops in the middle of the answer's body",
        "The agent waits for `store_stall_s`. The head is with the client already, so that only a reset can say that "
        "the answer is not whole.",
        Noticed.LIMIT,
        Phase.BEFORE,
        each(Cell(RESET), Cell(RESET)),
        store_patience_s=1.0,
        limits=("store_stall_s",),
    ),
    Row(
        "store_closes_idle",
        "The store closes kept-alive connections while they are idle",
        "The agent sees it and uses fresh connections.",
        Noticed.AT_ONCE,
        Phase.BEFORE,
        UNHARMED,
    ),
    Row(
        "store_closes_on_reuse",
        "The store closes a kept-alive connection just as the next request comes",
        "A read goes again on a fresh connection. A write does not: nobody can know what the store did with it. (A "
        "connection that was idle for more than 3 s is never used for a write, for hosts close them after 5 s.)",
        Noticed.AT_ONCE,
        Phase.BEFORE,
        each(
            Cell(ANSWER, (2, 2)),
            Cell(error(StoreBadResponse, unknown=True), carried_out=(0, 0)),
            gets=Cell(ANSWER, (1, 2)),
        ),
    ),
    Row(
        "store_rst",
        "The connection between agent and store is reset",
        "The agent tells at once that the answer is lost. It does not ask again: the store had the request.",
        Noticed.AT_ONCE,
        Phase.DURING,
        each(
            Cell(error(StoreBadResponse)),
            Cell(error(StoreBadResponse, unknown=True)),
            gets=Cell(error(StoreBadResponse), waiting=ANSWER),
            upload=Cell(error(StoreBadResponse, unknown=True), carried_out=(0, 0)),
            download=Cell(RESET),
        ),
    ),
    Row(
        "store_black_hole",
        "What the store sends is swallowed",
        "The agent waits for `store_first_byte_s` (`store_stall_s` within an answer), and gives up the connection.",
        Noticed.LIMIT,
        Phase.DURING,
        each(
            Cell(error(StoreTimeout)),
            Cell(error(StoreTimeout, unknown=True)),
            gets=Cell(error(StoreTimeout), waiting=ANSWER),
            download=Cell(RESET),
        ),
        store_patience_s=1.5,
        limits=("store_first_byte_s", "store_stall_s"),
    ),
)
