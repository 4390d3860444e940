"""The baseline is compared with OpenSSH, and a run in which it is far off says so."""

from __future__ import annotations

import pytest

from tests.bench.tunnels.baseline import WORK, baseline_sentence, is_plausible
from tests.bench.tunnels.load import WORKS
from tests.bench.tunnels.peers import OPENSSH, SPLICE


@pytest.mark.parametrize(
    ("splice", "openssh", "shown", "warns"),
    [
        ([125.0, 118.0, 127.0], [39.0, 38.0, 42.0], "costs 3.2 times", False),
        ([224.0], [48.0], "costs 4.7 times", False),
        ([78.0], [40.0], "costs 1.9 times", True),
        ([400.0], [40.0], "costs 10.0 times", True),
    ],
)
def test_its_ratio_is_shown_and_doubted_when_it_is_far_off(
    splice: list[float], openssh: list[float], shown: str, warns: bool
) -> None:
    sentence = baseline_sentence({SPLICE: splice, OPENSSH: openssh})
    assert shown in sentence
    assert "4.7 when published" in sentence
    assert ("WARNING" in sentence) is warns


@pytest.mark.parametrize(("times", "plausible"), [(1.99, False), (2.0, True), (7.0, True), (7.01, False)])
def test_the_bounds_belong_to_it(times: float, plausible: bool) -> None:
    assert is_plausible(times) is plausible


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert baseline_sentence({SPLICE: [125.0]}) == ""
    assert baseline_sentence({}) == ""


def test_there_is_such_work() -> None:
    assert WORK in {work.name for work in WORKS}
