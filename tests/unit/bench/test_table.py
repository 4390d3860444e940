"""Medians, spread and ratios; who was not measured says why."""

from __future__ import annotations

import pytest

from tests.bench.tunnels.table import Column, ratio, table

CPU = {"plain": [200.0, 100.0, 240.0], "ours": [50.0, 49.6, 80.0], "direct": [0.0, 0.0, 0.0]}


def test_a_row_has_the_median_its_spread_and_its_ratio_to_each_peer() -> None:
    shown = table("work", [Column("CPU us", CPU, spread=True, ratio_to=("plain", "ours"))], {})
    assert shown == (
        "| work | CPU us | least to most | / plain | / ours |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| plain | 200 | 100 to 240 | 1.00 | 4.00 |\n"
        "| ours | 50 | 50 to 80 | 0.25 | 1.00 |\n"
        "| direct | - | - | - | - |\n"
    )


def test_who_lacks_a_column_has_a_gap_there_and_who_was_absent_says_why() -> None:
    columns = [Column("ms", {"ours": [1.234]}, digits=2), Column("MB/s", {"ours": [9.0], "plain": [3.0]})]
    assert table("work", columns, {"snitun": "not installed"}).splitlines()[2:] == [
        "| ours | 1.23 | 9 |",
        "| plain | - | 3 |",
        "| snitun | not measured: not installed |  |",
    ]


@pytest.mark.parametrize(("name", "to"), [("ours", "direct"), ("direct", "plain"), ("ours", "none"), ("none", "plain")])
def test_there_is_no_ratio_to_or_of_what_was_not_measured(name: str, to: str) -> None:
    assert ratio(CPU, name, to) is None
