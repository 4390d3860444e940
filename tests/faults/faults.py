"""How each row's fault is made, and undone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.expectation import Column
from tests.faults.lane import Lane
from tests.faults.loads import GETS
from tests.faults.recovery import read

Step = Callable[[Lane, Column], Awaitable[Any]]

TRUNCATED_BYTES = 4
LONGER_S = 3.0  # than the 2 s in which both sides say goodbye
DELAY_S = 0.3
JITTER_S = 0.2
RATE_BYTES_S = 256_000 / 8
PIECE_BYTES = 100
PIECE_PAUSE_S = 0.001


async def _nothing(lane: Lane, column: Column) -> None:
    """Nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``prepare`` comes before the requests, ``strike`` is the fault, ``lift`` its end."""

    strike: Step
    lift: Step = _nothing
    prepare: Step = _nothing


def _struck(way: str, what: str, *directions: str, side: str = "near") -> Step:
    async def strike(lane: Lane, column: Column) -> None:
        struck = await lane.proxy.ask("strike", way=way, what=what, directions=directions or ("up",), side=side)
        assert struck or column is Column.IDLE, "there was no connection to be struck"

    return strike


def _damaged(what: str, count: int) -> Step:
    """The next bytes, in the direction in which the requests' bodies go."""

    async def strike(lane: Lane, column: Column) -> None:
        direction = "down" if column is Column.UPLOAD else "up"
        await lane.proxy.ask("strike", way="link", what=what, directions=(direction,), count=count)

    return strike


def _line(**conditions: float) -> Step:
    async def strike(lane: Lane, column: Column) -> None:
        await lane.proxy.ask("conditions", way="link", **conditions)

    return strike


async def _heal(lane: Lane, column: Column) -> None:
    await lane.proxy.ask("heal")


async def _kill_server(lane: Lane, column: Column) -> None:
    assert await lane.stop_server(signal.SIGKILL) == -signal.SIGKILL


async def _start_server(lane: Lane, column: Column) -> None:
    await lane.start_server()


async def _tell_server(lane: Lane, column: Column) -> None:
    await lane.tell_server(signal.SIGTERM, "server.stopping")
    await _go_on(lane, column)


async def _follow_server(lane: Lane, column: Column) -> None:
    assert await lane.stop_server(None) == 0, "SIGTERM is no failure"
    await lane.start_server()


async def _kill_agent(lane: Lane, column: Column) -> None:
    assert await lane.stop_agent(signal.SIGKILL) == -signal.SIGKILL


async def _start_agent(lane: Lane, column: Column) -> None:
    await lane.start_agent()


async def _tell_agent(lane: Lane, column: Column) -> None:
    await lane.tell_agent(signal.SIGTERM, "agent.leaving")
    await _go_on(lane, column)


async def _go_on(lane: Lane, column: Column) -> None:
    """What runs takes longer than any goodbye, and whoever comes meanwhile is served."""
    if column not in (Column.GET, Column.POST, Column.DOWNLOAD):
        return  # nothing runs; a client may not pause so long; all places are taken
    loop = asyncio.get_running_loop()
    until = loop.time() + LONGER_S
    while loop.time() < until:
        await read(lane)


async def _follow_agent(lane: Lane, column: Column) -> None:
    assert await lane.stop_agent(None) == 0, "SIGTERM is no failure"
    await lane.start_agent()


def _store(do: str, **fields: object) -> Step:
    async def step(lane: Lane, column: Column) -> None:
        await lane.store.ask(do, **fields)

    return step


def _proxy(do: str, **fields: object) -> Step:
    async def step(lane: Lane, column: Column) -> None:
        await lane.proxy.ask(do, **fields)

    return step


def _hang(mode: str) -> Fault:
    return Fault(_store("behave", mode=mode), _store("behave", mode="well"))


async def fresh_connections(lane: Lane, column: Column) -> None:
    """The store closes what is idle, and the agent has seen it: a request in that very moment would be lost."""
    await lane.store.ask("close_idle")
    async with asyncio.timeout(10):
        while await lane.proxy.ask("connections", way="store"):
            pass


async def warm_connections(lane: Lane, column: Column) -> None:
    """The agent keeps as many as the requests to come will want."""
    for _ in range(3):  # one of them may have been answered before the other came
        await asyncio.gather(*(read(lane) for _ in range(GETS if column is Column.GETS else 1)))


async def _close_idle(lane: Lane, column: Column) -> None:
    assert await lane.store.ask("connections"), "there was no idle connection"
    await fresh_connections(lane, column)


FAULTS: dict[str, Fault] = {
    "rst": Fault(_struck("link", "rst")),
    "fin": Fault(_struck("link", "fin")),
    "black_hole_up": Fault(_struck("link", "black_hole", "up")),
    "black_hole_down": Fault(_struck("link", "black_hole", "down")),
    "half_open": Fault(_struck("link", "half_open", side="near")),
    "half_open_agent": Fault(_struck("link", "half_open", side="far")),
    "corrupt": Fault(_damaged("corrupt", 1)),
    "truncate": Fault(_damaged("truncate", TRUNCATED_BYTES)),
    "delay": Fault(_line(delay_s=DELAY_S), _heal),
    "rate": Fault(_line(rate_bytes_s=RATE_BYTES_S), _heal),
    "jitter": Fault(_line(jitter_s=JITTER_S, piece_bytes=PIECE_BYTES, pause_s=PIECE_PAUSE_S), _heal),
    "server_kill": Fault(_kill_server, _start_server),
    "server_term": Fault(_tell_server, _follow_server),
    "agent_kill": Fault(_kill_agent, _start_agent),
    "agent_term": Fault(_tell_agent, _follow_agent),
    "store_down": Fault(_proxy("shut", way="store"), _proxy("reopen", way="store"), fresh_connections),
    "store_hangs_before_head": _hang("hang_before_head"),
    "store_hangs_in_head": _hang("hang_in_head"),
    "store_hangs_in_body": _hang("hang_in_body"),
    "store_closes_idle": Fault(_close_idle, prepare=warm_connections),
    "store_closes_on_reuse": Fault(
        _store("behave", mode="close_on_reuse"), _store("behave", mode="well"), warm_connections
    ),
    "store_rst": Fault(_struck("store", "rst"), prepare=fresh_connections),
    "store_black_hole": Fault(_struck("store", "black_hole", "down"), prepare=fresh_connections),
}
