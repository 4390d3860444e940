"""Requests as a client of the test cluster writes them."""

from __future__ import annotations

import base64

from tests.kit.cluster import API_KEY, CLIENT_KEY
from tests.kit.raw_client import basic

KEY = basic(CLIENT_KEY)
STORE_KEY = b"Authorization: Basic " + base64.b64encode(API_KEY.encode() + b":") + b"\r\n"


def request(
    target: bytes = b"/lyon/api/products",
    fields: bytes = KEY,
    *,
    method: bytes = b"GET",
    version: bytes = b"1.1",
    body: bytes | None = None,
) -> bytes:
    """A request for the connection ``lyon``, with the client key unless ``fields`` says otherwise."""
    if body is not None:
        fields += b"Content-Length: %d\r\n" % len(body)
    return method + b" " + target + b" HTTP/" + version + b"\r\nHost: gateway\r\n" + fields + b"\r\n" + (body or b"")
