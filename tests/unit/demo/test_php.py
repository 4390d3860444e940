"""PHP's names of request variables, also against PHP itself."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.demo.store.php import RequestVars, build_query, parse_body, parse_cookies, parse_query
from tests.kit.tools import require_tool

SPELLINGS_OF_PS_METHOD = [
    b"ps_method=DELETE",
    b"ps%5Fmethod=DELETE",
    b"%70s_method=DELETE",
    b"+ps_method=DELETE",
    b"%20%20ps_method=DELETE",
    b"ps.method=DELETE",
    b"ps+method=DELETE",
    b"ps%20method=DELETE",
    b"ps[method=DELETE",
    b"ps%5Bmethod=DELETE",
    b"ps_method%00junk=DELETE",
    b"ps_method=D%45LETE",
    b"limit=1&ps_method=DELETE",
]
OTHER_NAMES = [
    b"PS_METHOD=DELETE",
    b"ps_method;x=DELETE",
    b"xps_method=DELETE",
    b"ps-method=DELETE",
    b"[ps_method=DELETE",
]


@pytest.mark.parametrize("query", SPELLINGS_OF_PS_METHOD)
def test_every_spelling_becomes_the_same_name(query: bytes) -> None:
    assert parse_query(query)["ps_method"] == "DELETE"


@pytest.mark.parametrize("query", OTHER_NAMES)
def test_other_names_stay_other_names(query: bytes) -> None:
    assert "ps_method" not in parse_query(query)


def test_array_is_no_text() -> None:
    assert parse_query(b"ps_method[]=DELETE") == {"ps_method": {"0": "DELETE"}}


def test_nested_arrays() -> None:
    assert parse_query(b"filter[id]=%5B1|5%5D&price[a][use_tax]=1&filter[name]junk=x") == {
        "filter": {"id": "[1|5]", "name": "x"},
        "price": {"a": {"use_tax": "1"}},
    }


def test_later_value_wins() -> None:
    assert parse_query(b"url=products&url=customers")["url"] == "customers"


def test_form_and_multipart_fields_are_merged_over_the_query() -> None:
    form = RequestVars(get=parse_query(b"ps_method=GET"))
    parse_body("application/x-www-form-urlencoded; charset=utf-8", b"ps.method=DELETE", form)
    assert form.merged()["ps_method"] == "DELETE"
    body = (
        b'--b\r\nContent-Disposition: form-data; name="ps method"\r\n\r\nPUT\r\n'
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        b"\xff\xd8\r\n--b--\r\n"
    )
    parts = RequestVars(get={})
    parse_body('Multipart/Form-Data; boundary="b"', body, parts)
    assert parts.merged() == {"ps_method": "PUT"}
    assert parts.files["image"].content == b"\xff\xd8"


def test_xml_is_no_form() -> None:
    variables = RequestVars(get={})
    parse_body("text/xml", b"ps_method=DELETE", variables)
    assert variables.merged() == {}


def test_first_cookie_wins() -> None:
    assert parse_cookies(b"ps.method=DELETE; ps_method=PUT") == {"ps_method": "DELETE"}


def test_build_query_is_parsed_back() -> None:
    variables = parse_query(b"url=products%2F1&filter[id]=[1]&a[b][c]=d+e")
    assert parse_query(build_query(variables).encode()) == variables
    assert build_query({"url": "products/1", "limit": "1"}) == "url=products%2F1&limit=1"


PIECES = st.sampled_from(
    [b"a", b"ps", b"_", b".", b"+", b"%20", b"[", b"]", b"%5B", b"%5D", b"%00", b"=", b"&", b"1", b"%C3%A9"]
)


def test_names_are_those_of_php() -> None:
    command = require_tool("php", "php-cli")
    code = (
        "while (($l = fgets(STDIN)) !== false) { $v = []; parse_str(base64_decode($l), $v);"
        ' echo json_encode($v, JSON_FORCE_OBJECT | JSON_INVALID_UTF8_SUBSTITUTE), "\\n"; }'
    )
    with subprocess.Popen([command, "-r", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as php:
        assert php.stdin is not None
        assert php.stdout is not None
        reading, writing = php.stdout, php.stdin

        @settings(max_examples=500, deadline=None, derandomize=True)
        @given(st.lists(PIECES, max_size=9).map(b"".join))
        def compare(query: bytes) -> None:
            writing.write(base64.b64encode(query).decode() + "\n")
            writing.flush()
            assert parse_query(query) == json.loads(reading.readline())

        compare()
        writing.close()
