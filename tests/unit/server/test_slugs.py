"""Slugs: always usable as the gateway's first path segment, never one that is or was taken."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.server.operations.slugs import RESERVED, SLUG_MAX_CHARS, derive_slug, free_slug

SHAPE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Shop Lyon", "shop-lyon"),
        ("Boutique d'Été, Lyon (2)", "boutique-d-ete-lyon-2"),
        ("Straße & Søn Œuvre", "strasse-son-oeuvre"),
        ("Łódź", "lodz"),
        ("İstanbul", "istanbul"),
        ("日本", "shop"),
        ("---", "shop"),
        ("API", "api-shop"),
        ("v1", "v1-shop"),
        ("x" * 80, "x" * 50),
        ("a" * 49 + " b", "a" * 49),
    ],
)
def test_names_people_give(name: str, slug: str) -> None:
    assert derive_slug(name) == slug


@given(st.text(max_size=200))
def test_every_name_gives_a_usable_slug(name: str) -> None:
    slug = derive_slug(name)
    assert SHAPE.fullmatch(slug)
    assert len(slug) <= SLUG_MAX_CHARS
    assert slug not in RESERVED
    assert derive_slug(slug) == slug


@given(st.lists(st.text(max_size=60), max_size=30))
def test_no_slug_is_given_twice(names: list[str]) -> None:
    taken: set[str] = set()
    for name in names:
        slug = free_slug(name, taken)
        assert slug not in taken
        assert SHAPE.fullmatch(slug)
        assert len(slug) <= SLUG_MAX_CHARS
        taken.add(slug)


def test_the_number_fits_into_the_longest_slug() -> None:
    assert free_slug("x" * 80, {"x" * 50}) == "x" * 48 + "-2"
    assert free_slug("Shop", {"shop", "shop-2"}) == "shop-3"
