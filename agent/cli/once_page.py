"""What ``run --once`` prints for a person. Pure: from results to lines."""

from __future__ import annotations

from collections.abc import Iterator

from agent.cli.page import colored, entry, plain
from agent.doctor.report import StepState
from agent.once import Seen

_WORDS = {StepState.OK: "ok", StepState.WARNING: "warning", StepState.FAILED: "FAILED"}
_COLORS = {StepState.OK: "ready", StepState.WARNING: "waiting", StepState.FAILED: "refused"}


def once_lines(seen: Seen, width: int) -> Iterator[str]:
    """The lines of one result, no wider than ``width`` where words allow."""
    word = _WORDS[seen.state]
    first, *more = entry(seen.what.capitalize(), f"{word}  {plain(seen.name)}", width)
    yield colored(first, word, _COLORS[seen.state])
    yield from more
    yield from entry("", plain(seen.text, 1200), width)
    if seen.remedy:
        yield from entry("", plain(seen.remedy, 1200), width)


def once_verdict(*, is_well: bool) -> str:
    """The last line."""
    if is_well:
        return "All is well: `prestashop-agent run` serves these stores."
    return "Not all is well, see FAILED above; `prestashop-agent run` keeps trying, and serves what works."
