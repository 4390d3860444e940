"""Where the sample store differs from a recorded PrestaShop on purpose: aspect and reason, by id of the exchange.

The contract test fails on a difference that is not listed here, and on one listed here that is gone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meant:
    """A difference that is meant. ``aspects`` as tests/kit/likeness.py names them."""

    aspects: frozenset[str]
    reason: str


def _body(reason: str) -> Meant:
    return Meant(frozenset({"body"}), reason)


_SHOP_PAGE = "a page of the shop, not of the webservice: the sample store has a small one of its own"
_PICTURES = "the sample store keeps an uploaded picture as it came, PrestaShop encodes it anew"

MEANT: dict[str, Meant] = {
    "html-api-wrong-case": _body(_SHOP_PAGE),
    "html-home-en": _body(_SHOP_PAGE),
    "html-dotdot-admin": _body(_SHOP_PAGE),
    "html-maintenance": _body(_SHOP_PAGE),
    "image-post-png": _body(_PICTURES),
    "read-countries-8": _body("the seed holds five of a country's twelve fields"),
}
