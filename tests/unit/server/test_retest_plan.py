"""The plan of the server's own tests: spread, few at once, debounced; by a clock that is turned by hand."""

from __future__ import annotations

import random

from agent.server.operations.retest_plan import AGAIN_AFTER_S, AT_ONCE_MAX, SETTLE_S, RetestPlan

HOUR_S = 3600.0
FAR_S = 1e9


def run_all(plan: RetestPlan, start: float, end: float, step: float = 1.0) -> list[tuple[float, str, str]]:
    """Every test that begins between two moments, each done at once."""
    found: list[tuple[float, str, str]] = []
    now = start
    while now < end:
        for connection_id, cause in plan.start(now):
            found.append((now, connection_id, cause))
            plan.done(connection_id)
        now += step
    return found


def test_each_connection_is_tested_once_per_interval_and_they_are_spread() -> None:
    plan = RetestPlan(HOUR_S, random.Random(7).random)
    names = [f"c{number}" for number in range(200)]
    plan.keep(names, 0.0)
    begun = run_all(plan, 0.0, HOUR_S)
    first = {name: min(at for at, other, _ in begun if other == name) for name in names}
    per_tenth = [sum(part * 360 <= at < (part + 1) * 360 for at in first.values()) for part in range(10)]
    assert min(per_tenth) >= 5, per_tenth
    assert {cause for _, _, cause in begun} == {"schedule"}
    assert len(begun) <= 1.2 * len(names)


def test_a_restart_goes_on_where_it_was_and_spreads_what_is_overdue() -> None:
    plan = RetestPlan(HOUR_S, lambda: 0.5)
    plan.keep(["recent", "overdue"], 10_000.0, {"recent": 9_000.0, "overdue": 100.0})
    begun = run_all(plan, 10_000.0, 13_000.0)
    assert begun == [(11_800.0, "overdue", "schedule"), (12_600.0, "recent", "schedule")]


def test_no_more_than_two_run_at_once_when_a_thousand_agents_come_back() -> None:
    plan = RetestPlan(FAR_S, lambda: 0.5)
    names = [f"c{number}" for number in range(1000)]
    plan.keep(names, 0.0)
    plan.tunnel_is_back(names, 0.0)
    begun = plan.start(SETTLE_S)
    assert len(begun) == AT_ONCE_MAX
    assert plan.start(SETTLE_S + 100) == []
    plan.done(begun[0][0])
    assert len(plan.start(SETTLE_S + 100)) == 1


def test_a_tunnel_is_waited_for_until_it_has_settled_and_tested_once_a_minute() -> None:
    plan = RetestPlan(FAR_S, lambda: 0.5)
    plan.keep(["c"], 0.0)
    for at in (0.0, 3.0, 6.0):
        plan.tunnel_is_back(["c"], at)
    assert [at for at, _, _ in run_all(plan, 0.0, 30.0)] == [6.0 + SETTLE_S]
    plan.tunnel_is_back(["c"], 30.0)
    assert [at for at, _, _ in run_all(plan, 30.0, 200.0)] == [6.0 + SETTLE_S + AGAIN_AFTER_S]


def test_interval_zero_tests_nothing_by_itself() -> None:
    plan = RetestPlan(0, lambda: 0.0)
    plan.keep(["c"], 0.0)
    plan.tunnel_is_back(["c"], 0.0)
    assert run_all(plan, 0.0, 100.0) == []


def test_a_deleted_connection_is_forgotten() -> None:
    plan = RetestPlan(FAR_S, lambda: 0.5)
    plan.keep(["c"], 0.0)
    plan.tunnel_is_back(["c"], 100.0)
    plan.keep([], 101.0)
    assert run_all(plan, 100.0, 300.0) == []
