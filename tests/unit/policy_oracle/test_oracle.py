"""What ``judge`` lets through means to PHP and PrestaShop exactly what ``judge`` says it means."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from agent import php_query, policy
from agent.policy import Decision, Rule, judge
from tests.kit.tools import require_tool
from tests.unit.policy_oracle import nasty
from tests.unit.policy_oracle.faults import SEED, fault
from tests.unit.policy_oracle.nasty import Case
from tests.unit.policy_oracle.php import read_queries
from tests.unit.policy_oracle.webserver import rewritten_query

CASES = 40_000


@pytest.fixture(scope="module")
def php() -> str:
    return require_tool("php", "php-cli")


def faults(php: str, cases: list[Case]) -> tuple[int, list[str]]:
    """How many of the cases were let through, and what is wrong with those."""
    found: list[str] = []
    passed: list[tuple[Case, Decision, bytes]] = []
    for case in cases:
        decision = judge(case.rule, case.method.encode(), case.target, case.content_type)
        if not decision.allowed:
            continue
        query = rewritten_query(case.rule.store, case.target)
        if query is None:
            found.append(f"outside of the webservice: {case}")
        else:
            passed.append((case, decision, query))
    for separator in ("&", "&;"):
        meanings = read_queries(php, [(case.method, query) for case, _, query in passed], separator)
        assert len(meanings) == len(passed)
        for (case, decision, _), meaning in zip(passed, meanings, strict=True):
            if (wrong := fault(case.rule, decision, meaning)) is not None:
                found.append(f"{wrong} (separator {separator}): {case}")
    return len(passed), found


def test_what_is_let_through_means_what_was_judged(php: str) -> None:
    print(f"POLICY_ORACLE_SEED={SEED}")
    passed, found = faults(php, nasty.cases(random.Random(SEED), CASES))
    assert not found, f"seed {SEED}: {len(found)} of {passed}, first: {found[0]}"
    # Refusing everything would be no proof: a good part of these requests is what real clients send.
    assert passed > CASES // 8


ORDINARY = Rule(nasty.STORES[0], frozenset(policy.METHODS))
PINNED = Rule(nasty.STORES[3], frozenset(policy.METHODS))
ANY_NAME = re.compile(rb"(?s).*")


def without_nul_cut(piece: bytes) -> php_query.Parameter | None:
    found = php_query_parameter(piece.replace(b"%00", b"-"))
    return found and found._replace(raw_name=piece.partition(b"=")[0])


def without_blank_cut(piece: bytes) -> php_query.Parameter | None:
    found = php_query_parameter(piece.lstrip(b"+").removeprefix(b"%20"))
    blank = piece.startswith((b"+", b"%20"))
    return found and found._replace(name=b"_" + found.name if blank else found.name)


def without_unmatched_bracket(piece: bytes) -> php_query.Parameter | None:
    found = php_query_parameter(piece)
    open_bracket = found is not None and not found.is_array and re.search(rb"\[|%5[Bb]", found.raw_name)
    return found._replace(name=b"?") if found is not None and open_bracket else found


def without_dots(piece: bytes) -> php_query.Parameter | None:
    found = php_query_parameter(piece)
    return found._replace(name=b"?") if found is not None and b"." in found.raw_name else found


def without_decoding(piece: bytes) -> php_query.Parameter | None:
    raw_name, _, raw_value = piece.partition(b"=")
    return php_query.Parameter(raw_name, False, raw_name, raw_value)


php_query_parameter = php_query.php_parameter

WEAKENED: dict[str, tuple[Any, str, object, Case]] = {
    "NUL": (php_query, "php_parameter", without_nul_cut, Case(ORDINARY, "GET", b"/api/products?ps_method%00x=DELETE")),
    "blank": (php_query, "php_parameter", without_blank_cut, Case(ORDINARY, "GET", b"/api/products?+ps_method=PUT")),
    "bracket": (
        php_query, "php_parameter", without_unmatched_bracket, Case(ORDINARY, "GET", b"/api/products?ps[method=PUT"),
    ),
    "dot": (php_query, "php_parameter", without_dots, Case(PINNED, "GET", b"/api/products?id_shop=2&id.shop=3")),
    "percent": (php_query, "php_parameter", without_decoding, Case(ORDINARY, "GET", b"/api/products?%75rl=customers")),
    "override names": (policy, "_OVERRIDES", frozenset(), Case(ORDINARY, "GET", b"/api/products?+ps_method=DELETE")),
    "group names": (policy, "_GROUPS", frozenset({b"id_group_shop"}), Case(ORDINARY, "GET", b"/api/x?id.shop.group=2")),
    "semicolon": (
        policy, "php_readings", lambda query: [php_query._parameters(query.split(b"&"))],
        Case(ORDINARY, "GET", b"/api/products?limit=1;ps_method=DELETE"),
    ),
    "number of parameters": (
        policy, "MAX_PARAMETERS", 10**6, Case(PINNED, "GET", b"/api/products?" + b"x;=1&" * 1005 + b"id_shop=2"),
    ),
    "fragment": (policy, "_QUERY_BYTES", ANY_NAME, Case(PINNED, "GET", b"/api/products?;#&id_shop=2")),
    "path": (
        policy, "_API_PATH", re.compile(rb"api(?:/([A-Za-z0-9_-]+)((?:/[^?]*)?))?/?"),
        Case(ORDINARY, "GET", b"/api/products/1%26ps_method=DELETE"),
    ),
    "dot segments": (
        policy, "_API_PATH", re.compile(rb"api(?:/([A-Za-z0-9_-]+)((?:/[A-Za-z0-9_.-]+)*))?/?"),
        Case(ORDINARY, "GET", b"/api/products/../customers"),
    ),
    "the way out": (
        policy, "_API_PATH", re.compile(rb"api(?:/([A-Za-z0-9_.-]+)((?:/[A-Za-z0-9_.-]+)*))?/?"),
        Case(ORDINARY, "GET", b"/api/../admin9014z77vpinmj03dssx/index.php"),
    ),
}  # a table to be compared by eye  # fmt: skip


@pytest.mark.parametrize("rule_left_out", sorted(WEAKENED))
def test_the_oracle_catches_a_policy_that_lacks_one_rule(
    php: str, rule_left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule is needed: without it PHP does what was not judged, and the oracle sees that."""
    module, name, weaker, example = WEAKENED[rule_left_out]
    assert not judge(example.rule, example.method.encode(), example.target, None).allowed
    monkeypatch.setattr(module, name, weaker)
    # The second line of defence (plain characters in names only) would hide that the first one is gone.
    monkeypatch.setattr(policy, "_NAME_BYTES", ANY_NAME)
    passed, found = faults(php, [example, *nasty.cases(random.Random(SEED), 300)])
    assert passed
    assert found
    assert any(repr(example.target) in line for line in found), found[:3]


@pytest.mark.parametrize(
    ("target", "query"),
    [
        (b"/api", b"url="),
        (b"/api/", b"url="),
        (b"/api/products/1?a=b", b"url=products/1&a=b"),
        (b"/api/products%26limit=1", b"url=products&limit=1"),
        (b"/api/products&id_shop=1", b"url=products&id_shop=1"),
        (b"//api/products/1", b"url=products/1"),
        (b"/api/../api/currencies", b"url=currencies"),
        (b"/API/products", None),
        (b"/api/../admin/index.php", None),
        (b"/apis/products", None),
    ],
)
def test_the_model_of_the_web_server_agrees_with_what_was_measured(target: bytes, query: bytes | None) -> None:
    assert rewritten_query(nasty.STORES[0], target) == query
