"""From a connection's name to its path on the gateway. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from typing import Final

SLUG_MAX_CHARS: Final = 50
FALLBACK: Final = "shop"
RESERVED: Final = frozenset(
    {"admin", "api", "docs", "health", "healthz", "metrics", "panel", "ready", "readyz", "static", "v1", "webservice"}
)
"""First path segments that a client could mean otherwise: a shop's own, and those of probes and of the panel."""

_NOT_DECOMPOSED: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "\u0131": "i"}
)


def derive_slug(name: str) -> str:
    """``Boutique d'Été, Lyon`` -> ``boutique-d-ete-lyon``: [a-z0-9] in groups joined by single hyphens.

    A name without a Latin letter or digit gives ``shop``. At most 50 characters, never a reserved word.
    """
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_NOT_DECOMPOSED))
    plain = "".join(character for character in folded if not unicodedata.combining(character))
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_MAX_CHARS].strip("-")
    if not slug:
        return FALLBACK
    return f"{slug}-{FALLBACK}" if slug in RESERVED else slug


def free_slug(name: str, taken: Container[str]) -> str:
    """The slug of ``name``, with ``-2``, ``-3`` ... when it is taken now or ever was."""
    slug = derive_slug(name)
    candidate, number = slug, 1
    while candidate in taken:
        number += 1
        suffix = f"-{number}"
        candidate = slug[: SLUG_MAX_CHARS - len(suffix)].rstrip("-") + suffix
    return candidate


def imported_slug(slug: str, name: str, taken: Container[str]) -> str:
    """``slug`` where it is one and free, else that of ``name``."""
    return slug if slug and slug == derive_slug(slug) and slug not in taken else free_slug(name, taken)
