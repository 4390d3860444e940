"""Very many agents that lose the server in the same instant do not come back in the same instant."""

from __future__ import annotations

import functools
import random

from agent.server.ssh_config import SshConfig
from tests.bench.backoff_herd import LOGINS_PER_S, Outage, Outcome, simulate

AGENTS = 10_000
LOCK_STEP_PEAK = AGENTS * 100  # a second, when all of them come within the same 10 ms


@functools.cache
def outcome(away_s: float) -> Outcome:
    return simulate(AGENTS, Outage("", away_s), random.Random(3).random)


def test_the_first_attempts_are_spread_over_the_first_bound() -> None:
    assert outcome(60).first_minute_peak_10ms < LOCK_STEP_PEAK / 20


def test_after_a_short_outage_they_come_over_seconds() -> None:
    assert outcome(5).return_peak_10ms < LOCK_STEP_PEAK / 150
    assert outcome(5).return_peak < AGENTS / 2


def test_after_a_minute_they_come_over_the_cap() -> None:
    assert outcome(60).return_peak_10ms < LOCK_STEP_PEAK / 500
    assert outcome(60).return_peak < AGENTS / 15


def test_a_server_that_is_back_is_not_idle_until_nearly_all_are() -> None:
    ideal_s = AGENTS / LOGINS_PER_S
    for away_s in (5.0, 60.0):
        assert outcome(away_s).back_50_s < 1.6 * ideal_s / 2 + 1
        assert outcome(away_s).back_90_s < 1.6 * ideal_s
        assert outcome(away_s).back_all_s < ideal_s + 75  # the last one waits no longer than the cap, and its turn


def test_a_planned_restart_brings_them_at_the_rate_that_the_server_asks_for() -> None:
    rate = SshConfig().returns_per_s
    planned = simulate(AGENTS // 10, Outage("", 2, planned=True), random.Random(3).random)
    assert planned.return_peak < 2 * rate
    assert planned.attempts_per_agent < 1.5
    assert planned.back_all_s < 1.5 * AGENTS / 10 / rate + 5


def test_without_chance_all_this_would_fail() -> None:
    lock_step = simulate(300, Outage("", 60, logins_per_s=4, line=4), lambda: 0.999999)
    assert lock_step.first_minute_peak_10ms == lock_step.return_peak_10ms == 300 * 100
