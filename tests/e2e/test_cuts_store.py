"""The connection to the store is cut after every byte of an exchange, by RST and by FIN: about 7,400 cuts.

Every client gets the whole answer, an error of ours, or a RST in the middle; no write runs twice.
"""

from __future__ import annotations

from itertools import groupby

import pytest

from tests.kit.asked import Shape
from tests.kit.cluster import Mode
from tests.kit.counting_store import Framing
from tests.kit.cut_site import cut_site
from tests.kit.cutting_relay import Kind

SHAPES: dict[Framing, tuple[Shape, ...]] = {
    "length": ("get", "delete", "post"),
    "chunked": ("get", "chunked"),
    "eof": ("get", "post"),
}
KINDS: tuple[Kind, ...] = ("rst", "fin")


@pytest.mark.parametrize(
    ("mode", "framing", "warm"),
    [
        ("tunnel", "length", False),
        ("tunnel", "length", True),
        ("tunnel", "chunked", False),
        ("tunnel", "chunked", True),
        ("tunnel", "eof", False),
        ("cloud", "length", False),
        ("cloud", "length", True),
    ],
)
async def test_no_cut_is_mistaken_for_an_answer(mode: Mode, framing: Framing, warm: bool) -> None:
    """``warm``: the store's connection has been used before. The FIN of a store that ends its answers by FIN is
    the one cut that nobody can tell from an end."""
    async with cut_site(framing, mode=mode) as site:
        for shape in SHAPES[framing]:
            for kind in KINDS:
                if framing == "eof" and kind == "fin":
                    continue
                found = await site.cut_everywhere(site.store_way, shape, kind, warm=warm)
                # On a kept connection, which a store may close at any time, a read is asked once more.
                repeated = warm and shape == "get"
                lost = "200" if repeated else "store_bad_response"
                assert set(found["up"]) == {lost}, "no byte of an answer had come"
                order = [name for name, _ in groupby(found["down"])]
                # The last byte of a good framing is the end of the answer, whatever becomes of the connection.
                assert order == [lost, "reset"] + ["200"] * (framing != "eof")
        assert site.cuts > 380
