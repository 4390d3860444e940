"""How many lines of one kind go into the audit trail per hour, when strangers can cause them. Pure: the clock is given.

What is left out is still in the log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

PER_HOUR_MAX: Final = 20
"""Of each subject."""

SUBJECTS_MAX: Final = 1000
_HOUR_S: Final = 3600.0


class AuditBudget:
    """Counts lines by subject; times are seconds of ``clock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<AuditBudget subjects={len(self._spent)}>"

    def take(self, subject: str) -> bool:
        """May one more line be written of ``subject``? Counts it."""
        now = self._clock()
        began, count = self._spent.get(subject, (now, 0))
        if now - began >= _HOUR_S:
            began, count = now, 0
        if count >= PER_HOUR_MAX:
            return False
        self._spent[subject] = (began, count + 1)
        self._spent.move_to_end(subject)
        if len(self._spent) > SUBJECTS_MAX:
            self._spent.popitem(last=False)
        return True
