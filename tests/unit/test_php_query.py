"""Names and values as PHP reads them; tests/unit/policy_oracle asks PHP itself."""

from __future__ import annotations

import pytest

from agent.php_query import (
    has_parameter,
    php_parameter,
    php_query_names,
    php_readings,
    php_urldecode,
    php_value,
    without_parameter,
)


@pytest.mark.parametrize(
    ("piece", "name", "is_array"),
    [
        (b"a=1", b"a", False),
        (b"a", b"a", False),
        (b"a.b c=1", b"a_b_c", False),
        (b"%61+b", b"a_b", False),
        (b"++a", b"a", False),
        (b"%09a", b"\ta", False),
        (b"a%00b", b"a", False),
        (b"a[]", b"a", True),
        (b"a[x][y]=1", b"a", True),
        (b"a[x]y", b"a", True),
        (b"a%5Bx%5d", b"a", True),
        (b"a[b", b"a_b", False),
        (b"a[b.c[d", b"a_b_c_d", False),
        (b"a[b%00]", b"a_b", False),
        (b"a%zz", b"a%zz", False),
        (b"a%2", b"a%2", False),
    ],
)
def test_names(piece: bytes, name: bytes, is_array: bool) -> None:
    parameter = php_parameter(piece)
    assert parameter is not None
    assert (parameter.name, parameter.is_array) == (name, is_array)


@pytest.mark.parametrize("piece", [b"=1", b"", b"+=1", b"%00a=1", b"[a]=1", b"%20%20"])
def test_pieces_without_a_name_are_dropped(piece: bytes) -> None:
    assert php_parameter(piece) is None


def test_urldecode() -> None:
    assert php_urldecode(b"a+b%20c%2B%zz%4%c3%A9") == b"a b c+%zz%4\xc3\xa9"


def test_two_readings_only_where_they_can_differ() -> None:
    assert [[p.name for p in reading] for reading in php_readings(b"a=1&b=2")] == [[b"a", b"b"]]
    assert [[p.name for p in reading] for reading in php_readings(b"a=1;b=2")] == [[b"a"], [b"a", b"b"]]


def test_query_names_carry_no_values() -> None:
    assert php_query_names(b"filter[email]=[pub@example.com]&&limit=1&=x&display") == [b"filter", b"limit", b"display"]


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (b"ws_key=A", b"A"),
        (b"ws_key=A&ws_key=B", b"B"),
        (b"ws.key=%41+", b"A "),
        (b"ws_key", b""),
        (b"ws_key=A&ws_key[]=B", None),
        (b"ws_key[]=B&ws_key=A", b"A"),
        (b"x=1", None),
        (b"", None),
    ],
)
def test_the_last_value_counts(query: bytes, value: bytes | None) -> None:
    assert php_value(query, b"ws_key") == value


@pytest.mark.parametrize(
    ("target", "left"),
    [
        (b"/api", b"/api"),
        (b"/api?", b"/api?"),
        (b"/api?ws_key=K", b"/api"),
        (b"/api?ws_key=K&limit=1", b"/api?limit=1"),
        (b"/api?a=%5B1&ws_key=K&b=[2]", b"/api?a=%5B1&b=[2]"),
        (b"/api?ws_key=K&a&ws_key=L", b"/api?a"),
        (b"/api?ws%5Fkey=K&ws.key=K&ws+key=K&ws[key=K&+ws_key=K&ws_key%00=K&ws_key[]=K&a=1", b"/api?a=1"),
        (b"/api?a=1;ws_key=K;b=2&c", b"/api?a=1;b=2&c"),
        (b"/api?ws_key=K;a=1", b"/api"),
        (b"/api?a=1&&b=2", b"/api?a=1&&b=2"),
        (b"/api?xws_key=K&a=ws_key=K", b"/api?xws_key=K&a=ws_key=K"),
    ],
)
def test_a_parameter_is_taken_out_in_every_spelling(target: bytes, left: bytes) -> None:
    assert without_parameter(target, b"ws_key") == left
    assert not has_parameter(left.partition(b"?")[2], b"ws_key")
