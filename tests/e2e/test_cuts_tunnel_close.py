"""The tunnel is cut by FIN after every byte of an exchange, while there is a second one: about 2,500 cuts.

Every client gets the whole answer, ``tunnel_lost``, or a RST in the middle; reads are asked again, no write runs twice.
"""

from __future__ import annotations

from itertools import groupby

import pytest

from tests.kit.asked import Shape
from tests.kit.counting_store import Framing
from tests.kit.cut_site import cut_site

# What is opened for the exchange, and not handed over before it is open: one packet of SSH for either side is more.
OPENING_BYTES = 48


@pytest.mark.parametrize(("shape", "framing"), [("get", "length"), ("delete", "eof"), ("chunked", "chunked")])
async def test_a_cut_by_a_clean_close(shape: Shape, framing: Framing) -> None:
    async with cut_site(framing, tunnels=2, by_halves=True) as site:
        found = await site.cut_everywhere(site.tunnel_way, shape, "fin")
        assert site.cuts > 400
    for direction, outcomes in found.items():
        order = [(name, len(list(same))) for name, same in groupby(outcomes)]
        names = [name for name, _ in order]
        # Nothing was handed over yet: also a write finds its way.
        assert order[0] >= ("200", OPENING_BYTES)
        if shape != "get":
            assert names[1] == "tunnel_lost"
            del names[1]
        if direction == "up":
            assert names[1] == "reset", "the head has gone out"
            del names[1]
        # The whole answer was there, and what was cut is the closing of the channel.
        assert names in (["200"], ["200", "200"])
