"""The page that ``prestashop-agent doctor`` prints for a person, line by line as it is found. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

import click

from agent.doctor.causes import shown_layer
from agent.doctor.examination import Examination
from agent.doctor.finding import Finding, Subject
from agent.doctor.report import StepState

_MARKS: Final = {
    StepState.OK: ("ok", "green"),
    StepState.WARNING: ("warning", "yellow"),
    StepState.FAILED: ("FAILED", "red"),
    StepState.SKIPPED: ("-", ""),
}
_HEADINGS: Final = {Subject.MACHINE: "This machine", Subject.SERVER: "Server", Subject.STORE: "Store"}
_INDENT_CHARS: Final = 11  # mark, before the layer's name
_LAYER_CHARS: Final = 15
_TIME_CHARS: Final = 8
_TEXT_MIN_CHARS: Final = 28


class DoctorPage:
    """Turns findings into lines, each at most ``width`` wide where words allow; click takes colors out."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._about: tuple[Subject, str] | None = None

    def lines(self, finding: Finding) -> Iterator[str]:
        """The lines of one finding, under a heading of its own where its subject begins."""
        about = (finding.subject, finding.name)
        if about != self._about:
            if self._about is not None:
                yield ""
            self._about = about
            yield click.style(f"{_HEADINGS[finding.subject]} {finding.name}".rstrip(), bold=True)
        mark, color = _MARKS[finding.state]
        styled = click.style(f"{mark:<{_INDENT_CHARS - 2}}", fg=color or None, bold=finding.state is StepState.FAILED)
        if finding.hides:
            head, *rest = self._wrapped(finding.finding, _INDENT_CHARS)
            yield f"  {styled}{head}"
            yield from (" " * _INDENT_CHARS + line for line in rest)
            return
        spent = "" if finding.state is StepState.SKIPPED else f"{_milliseconds(finding.elapsed_ms)} ms"
        head = f"  {styled}{shown_layer(finding.layer):<{_LAYER_CHARS}}{spent:>{_TIME_CHARS}}"
        if not finding.verdict:
            margin = _INDENT_CHARS + _LAYER_CHARS + _TIME_CHARS + 2
            first, *rest = self._wrapped(finding.finding, margin)
            yield f"{head}  {first}"
            yield from (" " * margin + line for line in rest)
            return
        yield head
        indent = " " * _INDENT_CHARS
        for line in self._wrapped(finding.finding, _INDENT_CHARS):
            yield indent + line
        first, *rest = self._wrapped(f"Do: {finding.remedy}", _INDENT_CHARS)
        yield indent + click.style("Do:", bold=True) + first.removeprefix("Do:")
        yield from (indent + line for line in rest)
        yield indent + click.style(f"More: {finding.more}", dim=True)

    def end(self, examination: Examination) -> Iterator[str]:
        """The summary, and what to mend first."""
        yield ""
        color = "red" if examination.failed else "yellow" if examination.warnings else "green"
        yield click.style(examination.summary, fg=color, bold=True)
        for failed in examination.failed[:1]:
            where = f" of {failed.name}" if failed.name else ""
            text = f"Begin with {shown_layer(failed.layer)}{where}: {failed.remedy or failed.finding}"
            yield from textwrap.wrap(text, self._width, break_long_words=False, break_on_hyphens=False)

    def _wrapped(self, text: str, margin: int) -> list[str]:
        room = max(self._width - margin, _TEXT_MIN_CHARS)
        return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _milliseconds(elapsed_ms: float) -> str:
    return f"{elapsed_ms:.1f}" if elapsed_ms < 10 else f"{elapsed_ms:.0f}"
