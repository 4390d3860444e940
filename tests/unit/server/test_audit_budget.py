"""How many lines strangers can put into the audit trail."""

from __future__ import annotations

from agent.server.operations.audit_budget import PER_HOUR_MAX, SUBJECTS_MAX, AuditBudget


def test_each_subject_has_its_own_lines_and_new_ones_after_an_hour() -> None:
    now = [100.0]
    budget = AuditBudget(lambda: now[0])
    assert [budget.take("anne") for _ in range(PER_HOUR_MAX + 2)] == [True] * PER_HOUR_MAX + [False] * 2
    assert budget.take("berta")
    now[0] += 3599
    assert not budget.take("anne")
    now[0] += 1
    assert budget.take("anne")


def test_memory_is_bounded() -> None:
    budget = AuditBudget(lambda: 0.0)
    for number in range(SUBJECTS_MAX + 50):
        budget.take(str(number))
    assert repr(budget) == f"<AuditBudget subjects={SUBJECTS_MAX}>"
