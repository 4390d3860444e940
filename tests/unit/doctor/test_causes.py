"""A symptom is hidden behind its cause, and nothing else is."""

from __future__ import annotations

import pytest

from agent.doctor.causes import NEEDS, SERVER_LAYERS, hidden_by, not_looked_at
from agent.doctor.examination import Examination
from agent.doctor.finding import Finding, OwnLayer, Subject
from agent.doctor.report import Layer, StepState


@pytest.mark.parametrize("layer", SERVER_LAYERS)
def test_a_layer_comes_after_all_that_it_needs(layer: OwnLayer) -> None:
    before = SERVER_LAYERS[: SERVER_LAYERS.index(layer)]
    assert set(NEEDS[layer]) <= {*before, OwnLayer.SETTINGS, OwnLayer.TOKEN}
    assert layer not in hidden_by(layer)


@pytest.mark.parametrize(
    ("cause", "hidden"),
    [
        (OwnLayer.TOKEN, SERVER_LAYERS),
        (OwnLayer.TCP, SERVER_LAYERS[3:]),
        (OwnLayer.CONTROL, (OwnLayer.CLOCK, OwnLayer.ROUND_TRIP, OwnLayer.THROUGHPUT)),
        (OwnLayer.ROUND_TRIP, (OwnLayer.THROUGHPUT,)),
        (OwnLayer.CLOCK, ()),
        (OwnLayer.VERSIONS, ()),
    ],
)
def test_what_a_failure_hides(cause: OwnLayer, hidden: tuple[OwnLayer, ...]) -> None:
    assert hidden_by(cause) == hidden


def test_nothing_hidden_is_no_line() -> None:
    assert not_looked_at(Subject.STORE, "x", "http", ()) is None
    line = not_looked_at(Subject.STORE, "x", Layer.TLS, (Layer.HTTP, Layer.WEBSERVICE))
    assert line is not None
    assert (line.finding, line.more) == ("Not looked at, since TLS failed: HTTP, webservice.", "")


def _finding(state: StepState) -> Finding:
    return Finding(Subject.MACHINE, "", OwnLayer.TOKEN, state, "x")


@pytest.mark.parametrize(
    ("states", "usable", "code"),
    [
        ((StepState.OK, StepState.SKIPPED), True, 0),
        ((StepState.OK, StepState.WARNING), True, 0),
        ((StepState.WARNING, StepState.FAILED), True, 1),
        ((StepState.OK,), False, 78),
        ((StepState.FAILED,), False, 78),
    ],
)
def test_the_exit_code(states: tuple[StepState, ...], usable: bool, code: int) -> None:
    examination = Examination(tuple(map(_finding, states)), settings_usable=usable)
    assert examination.exit_code == code
    assert examination.to_json()["ok"] is (code == 0)


def test_the_summary_counts() -> None:
    states = (StepState.OK, StepState.OK, StepState.FAILED, StepState.SKIPPED)
    assert Examination(tuple(map(_finding, states))).summary == "1 failed, 2 well, 1 not looked at."
    assert Examination((_finding(StepState.OK),)).summary == "Nothing failed: 1 well."
