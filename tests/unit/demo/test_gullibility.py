"""The sample store obeys overrides of the method as a real PrestaShop does, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.demo.store import Front, SampleStore
from tests.kit.sample_store import BOUNDARY, CONFIG, ask, multipart, running

DELETING = [
    ("GET /api/manufacturers/2?ps_method=DELETE", (), b""),
    ("GET /api/manufacturers/2?ps%5Fmethod=DELETE", (), b""),
    ("GET /api/manufacturers/2?%20ps.method=D%45LETE", (), b""),
    ("GET /api/manufacturers/2?ps[method=DELETE", (), b""),
    ("GET /api/manufacturers/2?ps_method%00x=DELETE", (), b""),
    ("GET /api/manufacturers/2&ps_method=DELETE", (), b""),
    ("GET /api/manufacturers/2%26ps_method=DELETE", (), b""),
    ("GET //api/manufacturers/2/?ps_method=DELETE", (), b""),
    ("GET /webservice/dispatcher.php?url=manufacturers/2&ps_method=DELETE", (), b""),
    ("GET /api/products?url=manufacturers/2&ps_method=DELETE", (), b""),
    ("GET /api/../api/manufacturers/2?ps_method=DELETE", (), b""),
    ("POST /api/manufacturers/2", ("Content-Type: application/x-www-form-urlencoded",), b"ps_method=DELETE"),
    ("POST /api/manufacturers/2", ("Content-Type: Application/X-WWW-Form-Urlencoded; x=y",), b"ps+method=DELETE"),
    ("POST /api/manufacturers/2", (f"Content-Type: {BOUNDARY}",), multipart(("ps_method", "DELETE"))),
    (
        "POST /api/products",
        (f"Content-Type: {BOUNDARY}",),
        multipart(("ps.method", "DELETE"), ("url", "manufacturers/2")),
    ),
    ("DELETE /api/manufacturers/2", (), b""),
    ("DELETE /api/manufacturers/?id=[2]", (), b""),
]


KEEPING = [
    ("GET /api/manufacturers/2?PS_METHOD=DELETE", (), b"", 200),
    ("GET /api/manufacturers/2?ps_method[]=DELETE", (), b"", 405),
    ("GET /api/manufacturers/2?ps_method=delete", (), b"", 405),
    ("GET /api/manufacturers/2;ps_method=DELETE", (), b"", 404),
    ("GET /api/manufacturers/2%3Fps_method=DELETE", (), b"", 403),
    ("GET /api/manufacturers/2", ("X-HTTP-Method-Override: DELETE",), b"", 200),
    ("GET /api/manufacturers/2", ("Cookie: ps_method=DELETE",), b"", 200),
    ("GET /api/manufacturers/2", ("Content-Type: application/x-www-form-urlencoded",), b"ps_method=DELETE", 200),
    ("POST /api/manufacturers/2", ("Content-Type: text/xml",), b"ps_method=DELETE", 500),
]


@pytest.mark.parametrize(("request_line", "fields", "body"), DELETING)
async def test_is_as_gullible_as_prestashop(
    store: SampleStore, request_line: str, fields: tuple[str, ...], body: bytes
) -> None:
    answer = await ask(store, request_line, *fields, body=body)
    assert (answer.status, answer.body) == (200, b"")
    assert [(one.method, one.resource, one.ids) for one in store.executed] == [("DELETE", "manufacturers", (2,))]
    assert store.database.read("manufacturers", 2) is None


@pytest.mark.parametrize(("request_line", "fields", "body", "status"), KEEPING)
async def test_is_not_more_gullible_than_prestashop(
    store: SampleStore, request_line: str, fields: tuple[str, ...], body: bytes, status: int
) -> None:
    answer = await ask(store, request_line, *fields, body=body)
    assert answer.status == status
    assert store.database.read("manufacturers", 2) is not None


async def test_a_php_without_request_order_obeys_cookies() -> None:
    async with running(replace(CONFIG, front=Front(cookies_in_request=True))) as store:
        assert (await ask(store, "GET /api/manufacturers/2", "Cookie: a=b; ps.method=DELETE")).status == 200
        assert store.database.read("manufacturers", 2) is None
