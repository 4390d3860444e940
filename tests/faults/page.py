"""The page "What happens when ...", made from the rows that the matrix asserts. Pure but for the settings' defaults."""

from __future__ import annotations

from itertools import groupby

from agent.server.settings import ServerSettings
from agent.settings import AgentSettings
from tests.faults.expectation import Cell, Column, End
from tests.faults.row import LIMIT_S, Noticed, Phase, Row
from tests.faults.rows import ROWS

_HEAD = f"""# What happens when ...

<!-- Made by packaging/generate_docs.py from tests/faults/rows.py, the table that `make faults` asserts. -->

Each section is a row of the fault matrix, which `make faults` runs with real processes and a proxy that breaks the
connections between them: the fault strikes again and again while nothing runs, one GET, 64 GETs at once, a POST, an
upload and a download. Asserted each time: what the client sees, what the store was asked, that **no write reached the
store twice**, how soon a plain GET succeeds again, and that nothing is left behind on either side.

- A **read** whose tunnel breaks is sent again, three times at most, as long as nothing of its answer has gone out.
- A **write** is never sent again. Where its answer is lost, the client is told
  [`tunnel_lost`](errors.md#tunnel_lost) with `outcome: unknown` and the request id: look at the store first.
- An **answer that breaks off** ends in a reset, never in a clean end.

Times are those of the default settings; the matrix runs with a dead-link limit of {LIMIT_S:g} s. The last line of a
section is the limit that it asserts.
"""

_WHEN = {
    Phase.BEFORE: "The fault is there before the request.",
    Phase.WHILE: "The fault lasts from before the request to after its answer.",
    Phase.DURING: "The fault strikes in the middle of the request: the store has it (half of an upload), and the "
    "client has half of a download.",
    Phase.BY_CLIENT: "",
}


def faults_page() -> str:
    """The whole page."""
    contents = "".join(f"- [{row.title}](#{_anchor(row)})\n" for row in ROWS)
    return f"{_HEAD}\n{contents}" + "".join(map(_section, ROWS))


def _anchor(row: Row) -> str:
    """As the hosts of repositories make them: lower case, hyphens for spaces, no other marks."""
    kept = "".join(letter for letter in row.title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _section(row: Row) -> str:
    when = _WHEN[row.phase]
    lines = [f"\n## {row.title}\n", f"{row.story}{f' {when}' if when else ''}\n"]
    lines += ["| running | the client sees | the store has it |", "|---|---|---|"]
    shown = [(column, cell) for column, cell in row.cells.items() if cell.sees.end is not End.NOTHING]
    for cell, same in groupby(shown, key=lambda entry: entry[1]):
        lines.append(f"| {', '.join(_running(row, column) for column, _ in same)} | {_sees(cell)} | {_store(cell)} |")
    lines += ["", f"How long: {_how_long(row)}\n"]
    limit = f", with the dead-link limit at {LIMIT_S:g} s" if row.noticed is Noticed.SILENCE else ""
    lines.append(f"Asserted{limit}: a plain GET succeeds within {row.recovers_s:g} s {_since(row)}.\n")
    return "\n".join(lines)


def _running(row: Row, column: Column) -> str:
    return row.renamed.get(column, column.value)


def _sees(cell: Cell) -> str:
    waiting = f"; those that waited for their turn: {cell.waiting}" if cell.waiting is not None else ""
    return f"{cell.sees}{waiting}"


def _store(cell: Cell) -> str:
    low, high = cell.carried_out
    if high == 0:
        return "never" if cell.asked[1] == 0 else "not whole"
    if high > 1:
        return "once; again if the read was repeated"
    return "once" if low else "once, or not at all"


def _since(row: Row) -> str:
    since = {
        Phase.BEFORE: "after the end of the fault",
        Phase.WHILE: "while it lasts",
        Phase.DURING: "after the fault",
        Phase.BY_CLIENT: "for other clients, all the while",
    }
    return since[row.phase]


def _how_long(row: Row) -> str:
    agent, server = AgentSettings(), ServerSettings()
    reconnect, gateway = agent.reconnect, server.gateway
    again = (
        f"the agent connects again after a random wait of up to {reconnect.first_s:g} s, which doubles with each "
        f"further loss up to {reconnect.max_s:g} s"
    )
    match row.noticed:
        case Noticed.NEVER:
            return "nothing is lost and nothing connects anew."
        case Noticed.AT_ONCE:
            return f"noticed at once; {again}." if row.loses_tunnels else "noticed at once."
        case Noticed.NEXT_BYTE:
            return (
                "noticed with the next bytes, of a heartbeat at the latest "
                f"(every {agent.heartbeat.interval_s:g} s); {again}."
            )
        case Noticed.SILENCE:
            return (
                f"noticed after {agent.heartbeat.silence_s:g} s without a byte (the agent's `heartbeat.silence_s`), "
                f"{server.ssh.silence_timeout_s:g} s on the server's side (`ssh.silence_timeout_s`); then {again}. "
                "Where the network acknowledges nothing either, the kernel notices in about 10 s."
            )
        case Noticed.LIMIT:
            limits = {**agent.timeouts.model_dump(), **gateway.model_dump()}
            return ", ".join(f"`{name}` is {limits[name]:g} s" for name in row.limits) + "."
        case Noticed.RESTART:
            return (
                "as long as the restart takes. Requests that come while the agent is away wait at the server, for "
                f"{gateway.park_timeout_s:g} s (`park_timeout_s`), or {gateway.park_drain_timeout_s:g} s after a stop "
                "that was announced (`park_drain_timeout_s`); then they get [`agent_offline`](errors.md#agent_offline)."
            )
