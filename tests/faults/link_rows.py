"""Rows of the matrix whose fault is between agent and server. Pure."""

from __future__ import annotations

from typing import Final

from tests.faults.expectation import IDLE, LOST_WRITE, REPEATED, TUNNEL_GONE, UNHARMED, WHOLE, Cell, Column
from tests.faults.row import SILENCE_S, Noticed, Phase, Row

LINK_ROWS: Final[tuple[Row, ...]] = (
    Row(
        "rst",
        "The connection between agent and server is reset",
        "A firewall or a router drops the connection and says so. Both sides notice at once and the agent connects "
        "again.",
        Noticed.AT_ONCE,
        Phase.DURING,
        TUNNEL_GONE,
        loses_tunnels=True,
    ),
    Row(
        "fin",
        "The connection between agent and server is closed in an orderly way",
        "Something in between ends the TCP connection. Both sides notice at once and the agent connects again.",
        Noticed.AT_ONCE,
        Phase.DURING,
        TUNNEL_GONE,
        loses_tunnels=True,
    ),
    Row(
        "black_hole_up",
        "What the agent sends is swallowed",
        "The connection stays open, and no byte of the agent arrives. Silence tells: the answers to heartbeats stay "
        "away, each side gives the other up, and the agent connects again.",
        Noticed.SILENCE,
        Phase.DURING,
        TUNNEL_GONE | {Column.UPLOAD: Cell(LOST_WRITE)},
        loses_tunnels=True,
        recovers_s=SILENCE_S,
    ),
    Row(
        "black_hole_down",
        "What the server sends is swallowed",
        "The connection stays open, and no byte of the server arrives. What the agent has got is answered. Then it "
        "notices the silence, gives the connection up and connects again.",
        Noticed.SILENCE,
        Phase.DURING,
        {
            # What the agent has got it answers, and that way is open.
            Column.IDLE: IDLE,
            Column.GET: WHOLE,
            Column.GETS: REPEATED,
            Column.POST: WHOLE,
            Column.UPLOAD: Cell(LOST_WRITE, carried_out=(0, 0)),
            Column.DOWNLOAD: WHOLE,
        },
        loses_tunnels=True,
        recovers_s=SILENCE_S,
    ),
    Row(
        "half_open",
        "The agent has lost the connection, the server still holds it",
        "The agent connects again at once, and its new tunnel takes the place of the dead one, without any waiting for "
        "a time-out.",
        Noticed.AT_ONCE,
        Phase.DURING,
        TUNNEL_GONE,
        loses_tunnels=True,
    ),
    Row(
        "half_open_agent",
        "The server has lost the connection, the agent still holds it",
        "The agent notices the silence, gives the connection up and connects again.",
        Noticed.SILENCE,
        Phase.DURING,
        TUNNEL_GONE,
        loses_tunnels=True,
        recovers_s=SILENCE_S,
    ),
    Row(
        "corrupt",
        "A bit is flipped between agent and server",
        "Every packet carries a cryptographic check: the side that receives it ends the connection, nothing damaged is "
        "passed on, and the agent connects again.",
        Noticed.NEXT_BYTE,
        Phase.DURING,
        TUNNEL_GONE,
        loses_tunnels=True,
    ),
    Row(
        "truncate",
        "Bytes go missing between agent and server",
        "The cryptographic check of the next packet fails: the side that receives it ends the connection, and the "
        "agent connects again.",
        Noticed.NEXT_BYTE,
        Phase.DURING,
        TUNNEL_GONE,
        loses_tunnels=True,
        recovers_s=SILENCE_S,
    ),
    Row(
        "delay",
        "Every byte between agent and server takes 300 ms longer, each way",
        "Everything works, later: one request costs one round trip. The tunnels stay up.",
        Noticed.NEVER,
        Phase.WHILE,
        UNHARMED,
        takes_s=dict.fromkeys([Column.GET, Column.GETS, Column.POST, Column.UPLOAD, Column.DOWNLOAD], 0.6),
    ),
    Row(
        "rate",
        "The line between agent and server carries 256 kbit/s",
        "Everything works, slowly. Heartbeats get through beside large bodies, and the tunnels stay up.",
        Noticed.NEVER,
        Phase.WHILE,
        UNHARMED,
        # A sender may have 64 KiB under way, which are 2 s on this line: as long as the dead-link limit in cells.
        bulk_bytes=32 << 10,
        takes_s={Column.UPLOAD: 0.8, Column.DOWNLOAD: 0.8},
    ),
    Row(
        "jitter",
        "Every byte between agent and server takes up to 200 ms longer, and comes in small pieces",
        "Everything works, later. The tunnels stay up.",
        Noticed.NEVER,
        Phase.WHILE,
        UNHARMED,
        bulk_bytes=32 << 10,
    ),
)
