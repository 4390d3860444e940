"""Every verdict has a test in which a real exchange ends in it, a place among the layers, and a line for people.

A test says which verdicts it is about by its parameter ``verdict``, and asserts it. A new verdict without a test, or
one that is only made up in a unit test, fails here.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from agent.checkup import run, service
from agent.checkup.plan import CheckPlan
from agent.doctor.layers import KNOWN_VERDICTS, layer_of
from agent.doctor.report import Layer
from agent.errors import BY_NAME
from agent.server import remote_check
from agent.server.operations import check_absence, checks, retest_plan, test_places

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCES = (
    *sorted((ROOT / "agent/doctor").glob("*.py")),
    *sorted((ROOT / "agent/checkup").glob("*.py")),
    *(Path(str(module.__file__)) for module in (check_absence, checks)),
    ROOT / "agent/server/remote_check.py",
)
VERDICTS = sorted(KNOWN_VERDICTS - {""})
_TELLERS = {"Diagnosis", "Step", "_failed", "ProbeAnswer"}
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+|" + "|".join(KNOWN_VERDICTS - {""}))


def brought_about(module: ModuleType) -> Iterator[str]:
    """The values of the parameter ``verdict`` of the tests in a module."""
    for name, function in vars(module).items():
        if name.startswith("test_"):
            for mark in getattr(function, "pytestmark", ()):
                if mark.name == "parametrize":
                    yield from _values(*mark.args[:2])


def _values(names: str | tuple[str, ...], rows: list[object]) -> Iterator[str]:
    asked = names.replace(" ", "").split(",") if isinstance(names, str) else list(names)
    if "verdict" not in asked:
        return
    for row in rows:
        value = row if len(asked) == 1 else row[asked.index("verdict")]  # type: ignore[index] # a row of a table
        assert isinstance(value, str)
        yield value


def written() -> Iterator[tuple[str, str]]:
    """Every verdict that the code writes out, with the file: the literal in a call that tells, or at a tuple's head."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            literals: list[ast.expr] = []
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _TELLERS:
                literals = [*node.args, *(each.value for each in node.keywords if each.arg == "verdict")]
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 3:
                literals = node.value.elts[:1]
            for each in literals:
                if isinstance(each, ast.Constant) and isinstance(each.value, str) and _NAME.fullmatch(each.value):
                    yield each.value, path.name


def test_every_verdict_has_a_test_that_brings_it_about() -> None:
    names = [f"tests.integration.{path.stem}" for path in sorted(HERE.glob("test_check*.py"))]
    found = {verdict for name in names for verdict in brought_about(importlib.import_module(name))}
    assert set(VERDICTS) - found == set(), "verdicts that no real exchange ends in"
    assert found - set(VERDICTS) == set(), "verdicts that agent/doctor/layers.py does not know"


def test_every_verdict_that_the_code_writes_is_known_to_the_other_side() -> None:
    found = dict(written())
    assert len(found) > 30, "the search finds what it looks for"
    assert {verdict: where for verdict, where in found.items() if verdict not in KNOWN_VERDICTS} == {}
    unused = KNOWN_VERDICTS - set(found) - set(BY_NAME) - {""}
    assert unused == set(), "verdicts that nothing gives any more"


def test_each_layer_has_verdicts() -> None:
    assert {layer_of(verdict) for verdict in VERDICTS} == set(Layer)


def test_the_limits_on_that_page_are_those_of_the_code() -> None:
    defaults = {each.name: each.default for each in dataclasses.fields(CheckPlan)}
    assert (defaults["connect_timeout_s"], defaults["tls_timeout_s"], defaults["answer_timeout_s"]) == (5, 5, 15)
    assert (run.CHECK_TIMEOUT_S, remote_check.PATIENCE_S, test_places.WAIT_MAX_S) == (30, 40, 60)
    page = (ROOT / "docs/connection-test.md").read_text()
    for line in (
        "| name server | 5 s (",
        "| TLS | 5 s (",
        "| each answer of the store | 15 s |",
        "| the whole test | 30 s;",
        "| an agent that does not end its test | 40 s |",
        f"one test of each connection, {test_places.AT_ONCE_MAX} in all, {retest_plan.AT_ONCE_MAX} of them by",
        f"| at once, agent | {service.AT_ONCE_MAX}, and {service.PER_MINUTE_MAX} a minute |",
    ):
        assert line in page


@pytest.mark.parametrize("each", VERDICTS)
def test_the_page_about_tests_explains_it(each: str) -> None:
    page = (ROOT / "docs/connection-test.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `{each}` |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == 3
    assert all(len(cell) > 15 for cell in cells[1:]) or each == "ok"
    layers = re.split(r"^### ", page, flags=re.MULTILINE)
    (section,) = [part for part in layers if line in part]
    assert section.startswith(f"{layer_of(each)}\n") or each == "ok"
