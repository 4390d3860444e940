"""Dashboard and alert rules of docs/monitoring ask for metrics and labels that there are, and name real commands."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]  # comes with schemathesis

from agent.metrics import metric_names
from agent.server.cli.main import cli
from agent.server.metrics.families import FAMILIES, STANDARD

DOCS = Path(__file__).resolve().parents[2] / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "monitoring/grafana-dashboard.json").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DOCS / "monitoring/alert-rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in PANELS for target in panel.get("targets", ())
]
VARIABLES = [each["definition"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]

_METRIC = re.compile(r"\b((?:integration_server|prestashop_agent|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")
_OF_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)\Z")
_TARGETS_OWN = {"job", "instance"}


def asked(expressions: list[str]) -> list[tuple[str, set[str]]]:
    """Every metric that is asked for, with the labels by which it is chosen."""
    found = [found for expression in expressions for found in _METRIC.findall(expression)]
    return [(name, set(re.findall(r"(\w+)\s*[=!]~?", labels))) for name, labels in found]


def test_every_metric_of_the_server_is_one_that_it_tells_with_these_labels() -> None:
    checked = 0
    for name, labels in asked(EXPRESSIONS + VARIABLES):
        if name.startswith("prestashop_agent_"):
            continue
        family = FAMILIES.get(name) or FAMILIES.get(_OF_HISTOGRAM.sub("", name))
        assert family is not None or name in STANDARD, name
        assert family is None or (family.kind == "histogram") == (family.shown_name != name), name
        assert labels <= {*(family.labels if family is not None else ()), *_TARGETS_OWN}, (name, labels)
        checked += 1
    assert checked > 50


def test_every_metric_of_the_agent_is_one_that_it_tells() -> None:
    known = metric_names()
    names = {name for name, _ in asked(EXPRESSIONS + VARIABLES) if name.startswith("prestashop_agent_")}
    assert names
    assert names <= known, names - known


def test_the_tables_name_every_metric() -> None:
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert [name for name, _ in asked(EXPRESSIONS) if name in FAMILIES and f"`{name}`" not in page] == []


def test_panels_have_a_place_of_their_own_a_title_and_the_chosen_source() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in itertools.combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    for panel in PANELS:
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        if panel["type"] != "row":
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_happened_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    summary, action = rule["annotations"]["summary"], rule["annotations"]["action"]
    assert summary.endswith(".")
    assert action.endswith(".")
    assert "integration-server" not in re.sub(r"`[^`]+`", "", action), "a command stands in backquotes"
    for words in re.findall(r"`integration-server ([^`]+)`", action):
        command: click.Command = cli
        for word in words.split():
            if word.startswith("--"):
                assert word in {option for each in command.params for option in each.opts}, words
            elif isinstance(command, click.Group):
                found = command.get_command(click.Context(command), word)
                assert found is not None, words
                command = found
        assert not isinstance(command, click.Group), words
