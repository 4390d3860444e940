"""The table of a run: medians, with the spread of the CPU figure. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.tunnels.load import Measured

Results = Mapping[str, Mapping[str, Sequence[Measured]]]


def shown(results: Results, memory: Mapping[str, float]) -> str:
    """Markdown: one table for each piece of work, and one for memory."""
    parts = [_work(name, by_tunnel) for name, by_tunnel in results.items()]
    rows = "\n".join(f"| {name} | {mb:.0f} |" for name, mb in memory.items())
    return "\n".join([*parts, f"| both ends, resident | MB |\n|---|---|\n{rows}\n"])


def _work(work: str, by_tunnel: Mapping[str, Sequence[Measured]]) -> str:
    is_bulk = "MiB" in work
    rate, cpu = ("MB/s", "CPU s/GB") if is_bulk else ("requests/s", "CPU us/request")
    lines = [f"| {work} | {rate} | p50 ms | p99 ms | {cpu} | least - most |", "|---|---|---|---|---|---|"]
    for name, measured in by_tunnel.items():
        latency = "| | " if is_bulk else f"| {_middle(measured, 'p50_ms'):.2f} | {_middle(measured, 'p99_ms'):.2f} "
        used = sorted(each.cpu for each in measured)
        digits = 2 if is_bulk else 0
        spent = f"| {median(used):.{digits}f} | {used[0]:.{digits}f} - {used[-1]:.{digits}f} |" if used[-1] else "| | |"
        lines.append(f"| {name} | {_middle(measured, 'rate'):.0f} {latency}{spent}")
    return "\n".join(lines) + "\n"


def _middle(measured: Sequence[Measured], field: str) -> float:
    return float(median(getattr(each, field) for each in measured))
