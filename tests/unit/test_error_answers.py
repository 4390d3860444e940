"""The answers that gateway and agent make themselves."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

from agent.errors import CONTRACT, ExchangeError, PolicyDenied
from agent.rewrite import (
    error_response,
    wants_json,
)
from tests.kit.llhttp import read_response


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("error", CONTRACT, ids=lambda error: error.name)
def test_an_error_answer_parses_and_carries_code_and_name(error: type[ExchangeError], as_json: bool) -> None:
    made = error("A <detail> & 'more' ]]> \"é\".", outcome_unknown=True)
    raw = error_response(
        made, proxy="integration-server", as_json=as_json, to_head=False, request_id=b"rid-12345", close=True
    )
    reading = read_response(raw)
    assert reading is not None
    assert reading.complete
    assert reading.status == error.status
    fields = {name.decode().lower(): value.decode() for name, value in reading.fields}
    assert fields["x-request-id"] == "rid-12345"
    assert fields["connection"] == "close"
    assert re.fullmatch(r'integration-server; error=[a-z_]+; details="' + error.name + '"', fields["proxy-status"])
    assert fields["x-content-type-options"] == "nosniff"
    assert fields["content-security-policy"] == "sandbox"
    assert fields.get("retry-after") == (None if error.retry_after_s is None else str(error.retry_after_s))
    assert ("www-authenticate" in fields) == (error.status == 401)
    message = made.message_about("rid-12345")
    assert "outcome: unknown; the store may have carried out request rid-12345, " in message
    if as_json:
        assert fields["content-type"] == "application/json"
        assert json.loads(reading.body) == {"errors": [{"code": error.code, "message": message}]}
    else:
        assert fields["content-type"] == "text/xml;charset=utf-8"
        root = ET.fromstring(reading.body)
        assert root.tag == "prestashop"
        assert root.findtext("errors/error/code") == str(error.code)
        assert root.findtext("errors/error/message") == message
    assert message.startswith(error.name)


def test_an_error_answer_to_head_has_the_length_and_no_body() -> None:
    raw = error_response(PolicyDenied(), proxy="p", as_json=False, to_head=True, request_id=b"r")
    assert raw.endswith(b"\r\n\r\n")
    assert re.search(rb"Content-Length: [1-9][0-9]+\r\n", raw)
    whole = error_response(PolicyDenied(), proxy="p", as_json=False, to_head=False, request_id=b"r")
    assert whole.startswith(raw)


@pytest.mark.parametrize(
    ("fields", "target", "expected"),
    [
        ([], b"/api/x", False),
        ([], b"/api/x?output_format=JSON", True),
        ([], b"/api/x?a=1&io_format=json", True),
        ([], b"/api/x?output_format=XML", False),
        ([(b"Output-Format", b"JSON")], b"/api/x", True),
        ([(b"IO-FORMAT", b"json")], b"/api/x", True),
        ([(b"Io-Format", b"XML")], b"/api/x?output_format=JSON", False),
        ([(b"Accept", b"application/json")], b"/api/x", False),
    ],
)
def test_json_is_asked_for_as_at_prestashop(fields: list[tuple[bytes, bytes]], target: bytes, expected: bool) -> None:
    assert wants_json(fields, target) is expected
