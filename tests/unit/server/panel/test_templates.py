"""What every template and the style must keep to: nothing inline, labels, enough contrast in both schemes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import agent.server.panel

FOLDER = Path(agent.server.panel.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").rglob("*.html"))
INLINE = re.compile(
    r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<script(?![^>]*\ssrc=)|\|\s*safe\b|hx-on|autoescape", re.IGNORECASE
)
CSS = (FOLDER / "static" / "panel.css").read_text()
PAIRS = [
    *((front, back, 4.5) for front in ("text", "muted", "accent") for back in ("page", "surface")),
    *((front, "sunken", 4.5) for front in ("text", "muted")),
    *((tone, f"{tone}-soft", 4.5) for tone in ("good", "bad", "warn", "accent")),
    *(("text", f"{tone}-soft", 4.5) for tone in ("good", "bad", "warn", "accent")),
    ("on-accent", "accent", 4.5),
    ("on-accent", "accent-hover", 4.5),
    ("on-bad", "bad", 4.5),
    ("bad", "surface", 4.5),
    ("warn", "surface", 4.5),
    ("line-strong", "surface", 3.0),
    ("focus", "page", 3.0),
]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_inline(path: Path) -> None:
    assert INLINE.search(path.read_text()) is None


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_posts_carries_the_csrf_token(path: Path) -> None:
    if path.name in ("login.html", "welcome.html"):  # no session yet: refused by where it comes from
        return
    for form in re.findall(r'<form[^>]*method="post".*?</form>', path.read_text(), re.DOTALL):
        assert "csrf(csrf_token)" in form or 'name="csrf_token"' in form


def scheme(selector: str) -> dict[str, str]:
    block = CSS[CSS.index(selector) :]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block[: block.index("}")]))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("selector", [":root {", ':root[data-scheme="dark"] {'])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_contrast(selector: str, front: str, back: str, least: float) -> None:
    colours = scheme(selector)
    light, dark = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least


def test_both_ways_into_the_dark_scheme_are_one_scheme() -> None:
    assert scheme(':root:not([data-scheme="light"]) {') == scheme(':root[data-scheme="dark"] {') != {}
