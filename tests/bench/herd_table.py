"""What one phase of a herd run showed, and the table of all phases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Phase:
    """One row: all lost the server at 0 s and came back. Times in seconds from the loss, CPU in milliseconds."""

    name: str
    tunnels: int
    away_s: float = 0.0
    missing: int = 0
    back_50_s: float = 0.0
    back_90_s: float = 0.0
    back_99_s: float = 0.0
    back_all_s: float = 0.0
    back_nat_s: float = 0.0
    logins_per_s: float = 0.0
    logins_busiest_s: int = 0
    attempts: int = 0
    attempts_busiest_s: int = 0
    inside_max: int = 0
    waiting_max: int = 0
    turned_away: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    server_ms_per_login: float = 0.0
    agents_ms_per_login: float = 0.0
    resident_mb: float = 0.0
    files: int = 0

    def take(self, reports: Sequence[dict[str, Any]], began: float) -> None:
        """What the client processes saw since ``began`` (monotonic seconds)."""
        ready = sorted(at - began for report in reports for at in report["ready"])
        attempts = [at for report in reports for at in report["attempts"]]
        natted = [at - began for report in reports for at in report["groups"].get("nat", ())]
        endings: Counter[str] = Counter()
        for report in reports:
            endings.update(report["endings"])
        self.missing = sum(report["missing"] for report in reports)
        self.back_50_s, self.back_90_s, self.back_99_s, self.back_all_s = (
            round(percentile(ready, share), 2) for share in (0.5, 0.9, 0.99, 1.0)
        )
        self.back_nat_s = round(max(natted, default=0.0), 2)
        # From the first to the last tenth: a straggler says nothing about how fast logins go.
        span_s = percentile(ready, 0.9) - ready[0] if ready else 0.0
        self.logins_per_s = round(0.9 * len(ready) / span_s, 1) if span_s > 0 else 0.0
        self.logins_busiest_s = busiest_second(ready)
        self.attempts = len(attempts)
        self.attempts_busiest_s = busiest_second(attempts)
        self.endings = dict(endings)


@dataclass
class Idle:
    """Nobody asks for anything; heartbeats only. CPU in percent of one core."""

    seconds: float
    tunnels: int
    server_cpu_percent: float
    agents_cpu_percent: float
    server_kb_per_agent: float
    empty_mb: float
    full_mb: float


_COLUMNS = {
    "": "name",
    "away s": "away_s",
    "50 % back": "back_50_s",
    "90 %": "back_90_s",
    "99 %": "back_99_s",
    "all": "back_all_s",
    "NAT": "back_nat_s",
    "missing": "missing",
    "logins/s": "logins_per_s",
    "busiest": "logins_busiest_s",
    "attempts": "attempts",
    "busiest/s": "attempts_busiest_s",
    "at the door": "inside_max",
    "in line": "waiting_max",
    "refused": "turned_away",
    "CPU ms/login server": "server_ms_per_login",
    "agents": "agents_ms_per_login",
    "RSS MB": "resident_mb",
    "files": "files",
}


def render(phases: Sequence[Phase], idle: Idle | None) -> str:
    """The table and what the phases have to say beside it."""
    rows = [tuple(_COLUMNS), *(tuple(str(getattr(phase, name)) for name in _COLUMNS.values()) for phase in phases)]
    lines = [table(rows)]
    lines += [f"  {phase.name}: ended {phase.endings}, refused {phase.refusals}" for phase in phases]
    if idle is not None:
        lines.append(
            f"\nidle {idle.seconds:g} s with {idle.tunnels} tunnels: server {idle.server_cpu_percent} % of a core,"
            f" agents {idle.agents_cpu_percent} %; server {idle.empty_mb} MB empty, {idle.full_mb} MB full:"
            f" {idle.server_kb_per_agent} kB per agent"
        )
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need, the first one to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the sorted ``values`` do not exceed; not a number when there is none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def busiest_second(times: Sequence[float], width_s: float = 1.0) -> int:
    """How many of them lie within the busiest ``width_s``, wherever it begins."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - width_s:
            first += 1
        most = max(most, last - first + 1)
    return most
