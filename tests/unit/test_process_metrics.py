"""What a process tells of itself where /proc is that of a unit with ProcSubset=pid: without stat."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.registry import CollectorRegistry

from agent.process_metrics import ProcessMetrics
from agent.server.metrics.families import STANDARD


def test_it_tells_everything_where_only_processes_are_shown(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("/proc/self")
    found = CollectorRegistry()
    ProcessMetrics(proc=str(tmp_path), registry=found)
    samples = {sample.name: sample.value for family in found.collect() for sample in family.samples}
    assert sorted(samples) == sorted(STANDARD)
    began_at = REGISTRY.get_sample_value("process_start_time_seconds")  # by way of /proc/stat
    assert began_at is not None
    assert abs(samples["process_start_time_seconds"] - began_at) < 3
