"""Patterns that guard a frontier must mean the same on every Python that is supported."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import agent

ROOT = Path(agent.__file__).parent

# CPython before 3.11.5 (Debian 12 has 3.11.2) matches a possessive group wrongly: `(?:=[^&]*)?+` took `url` without
# a value for a harmless parameter, so that an override passed the policy. Possessive character classes are right.
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+|\(\?>")


def string_literals(path: Path) -> list[tuple[int, str]]:
    """Every string and bytes literal of a file, with its line."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.STRING]


def test_no_pattern_has_a_possessive_group() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for path in sorted(ROOT.rglob("*.py"))
        for line, text in string_literals(path)
        if POSSESSIVE_GROUP.search(text)
    ]
    assert found == []


def test_the_search_finds_one() -> None:
    for pattern in (r"(?:a)*+", r"(a)?+b", r"(?:a){0,9}+", r"(?>a)", r"(?:a)++"):
        assert POSSESSIVE_GROUP.search(pattern)
    for pattern in (r"\)*+", r"[a]*+", r"(?:a)*", r"(a)+b"):
        assert not POSSESSIVE_GROUP.search(pattern)
