"""What the doctor can print exists: a page of each verdict, and the place in docs/ that it points to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.doctor.layers import KNOWN_VERDICTS, layer_of
from agent.doctor.verdicts import OWN_VERDICTS
from tests.kit.golden import GOLDEN

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TOLD_IN = (ROOT / "agent/examination").glob("*.py")

_MORE = re.compile(r"More: ([a-z-]+\.md)#([a-z_]+)")


def _headings(page: str) -> set[str]:
    """Anchors as GitHub makes them."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("verdict", sorted(OWN_VERDICTS))
def test_a_verdict_has_a_heading_and_a_page(verdict: str) -> None:
    assert verdict in _headings("troubleshooting.md")
    shown = [file for file in GOLDEN.glob("*.txt") if f"#{verdict}\n" in file.read_text(encoding="utf-8")]
    assert shown, "no test brings it about"


def test_each_place_of_the_pages_exists() -> None:
    places = {place for file in GOLDEN.glob("*.txt") for place in _MORE.findall(file.read_text(encoding="utf-8"))}
    assert {page for page, _ in places} == {"troubleshooting.md", "connection-test.md"}
    assert [(page, anchor) for page, anchor in sorted(places) if anchor not in _headings(page)] == []


def test_each_layer_of_a_store_has_a_heading() -> None:
    layers = {layer_of(verdict).value for verdict in KNOWN_VERDICTS - {"", "ok"}}
    assert layers - _headings("connection-test.md") == set()


def test_no_verdict_is_told_that_is_not_known() -> None:
    """Those that stand in the code as they are; the others are values of ``EndReason``, each with a test."""
    told = {
        verdict
        for file in TOLD_IN
        for verdict in re.findall(
            r'(?:warning|failed|stop)\(\s*(?:layer|OwnLayer\.[A-Z_]+),\s*"([a-z_]+)"', file.read_text(encoding="utf-8")
        )
    }
    assert len(told) > 20
    assert told <= OWN_VERDICTS
