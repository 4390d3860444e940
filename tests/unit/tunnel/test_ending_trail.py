"""How tunnels ended: repetitions are one entry, and the youngest of all tunnels come first."""

from __future__ import annotations

from agent.past import endings_of
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.ending_trail import ENDINGS_KEPT, EndingTrail


def trail(*reasons: EndReason, every_s: int = 1) -> EndingTrail:
    clock = iter(range(0, 100_000, every_s))
    made = EndingTrail(now=lambda: float(next(clock)))
    for number, reason in enumerate(reasons):
        made.take(Ending(reason, f"the {number}th"))
    return made


def test_an_outage_is_one_entry_with_its_youngest_words() -> None:
    made = trail(EndReason.LOST, *[EndReason.UNREACHABLE] * 500, EndReason.SILENT)
    assert [(past.ending.reason, past.times) for past in made.last] == [
        (EndReason.LOST, 1),
        (EndReason.UNREACHABLE, 500),
        (EndReason.SILENT, 1),
    ]
    outage = made.last[1]
    assert (outage.first_at, outage.last_at, outage.ending.detail) == (1.0, 500.0, "the 500th")
    assert made.counts == {EndReason.LOST: 1, EndReason.UNREACHABLE: 500, EndReason.SILENT: 1}


def test_what_is_kept_has_an_end_and_tunnels_are_mixed_by_age() -> None:
    flapping = trail(*[EndReason.LOST, EndReason.SILENT] * 50)
    assert len(flapping.last) == ENDINGS_KEPT
    young = trail(EndReason.REVOKED, every_s=1)
    young.last[0] = type(young.last[0])(young.last[0].ending, 98.5, 98.5)
    reports = endings_of((flapping, young))
    assert [(report.tunnel, report.at) for report in reports[:3]] == [(0, 99.0), (1, 98.5), (0, 98.0)]
    assert len(reports) == ENDINGS_KEPT
