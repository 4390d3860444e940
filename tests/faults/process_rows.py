"""Rows of the matrix in which the server or the agent ends and is started again. Pure."""

from __future__ import annotations

from typing import Final

from tests.faults.expectation import BROKEN, TUNNEL_GONE, UNHARMED, Cell, each
from tests.faults.row import RESTART_S, Noticed, Phase, Row

PROCESS_ROWS: Final[tuple[Row, ...]] = (
    Row(
        "server_kill",
        "The server is killed (SIGKILL, power cut) and started again",
        "Connections of clients break with it. The agent connects as soon as the server is back.",
        Noticed.RESTART,
        Phase.DURING,
        each(
            Cell(BROKEN),
            Cell(BROKEN),
            gets=Cell(BROKEN, (0, 1), (0, 1)),
            upload=Cell(BROKEN, carried_out=(0, 0)),
        ),
        loses_tunnels=True,
        recovers_s=RESTART_S,
        repeats=4,
    ),
    Row(
        "server_term",
        "The server is told to stop (SIGTERM) and started again",
        "What runs is finished first, and agents are told to come back. Then it leaves. New connections are refused "
        "until it is back, unless systemd holds the sockets ([restarts.md](restarts.md)).",
        Noticed.RESTART,
        Phase.DURING,
        UNHARMED,
        loses_tunnels=True,
        recovers_s=RESTART_S,
        repeats=4,
    ),
    Row(
        "agent_kill",
        "The agent is killed (SIGKILL, power cut) and started again",
        "The server notices at once and keeps requests waiting until the agent is back.",
        Noticed.RESTART,
        Phase.DURING,
        TUNNEL_GONE,
        recovers_s=RESTART_S,
        repeats=4,
    ),
    Row(
        "agent_term",
        "The agent is told to stop (SIGTERM) and started again",
        "What runs is finished first; what comes meanwhile waits at the server until the agent is back.",
        Noticed.RESTART,
        Phase.DURING,
        UNHARMED,
        recovers_s=RESTART_S,
        repeats=4,
    ),
)
