"""The settings of a connection beyond the simple ones: what is refused, and what reaches the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from agent.forward.target import tls_context
from agent.server.db.tables import CONNECTIONS
from tests.kit.certificates import CertificateAuthority
from tests.kit.control_plane import API_KEY, ControlApi

SETTINGS: dict[str, Any] = {
    "headers": [{"name": "X-Channel", "value": "erp, 2"}],
    "response_timeout_s": 12.5,
    "test_path": "/api/products?limit=1",
    "test_method": "HEAD",
    "verify_tls": False,
    "concurrency": 3,
}


async def row_of(api: ControlApi) -> Any:
    async with api.plane.read() as connection:
        return (await connection.execute(select(CONNECTIONS))).mappings().one()


async def test_all_settings_are_kept_and_shown(api: ControlApi, tmp_path: Path) -> None:
    pem = CertificateAuthority(tmp_path).ca_file.read_text()
    made = await api.connection(**SETTINGS, ca_pem=pem)
    assert {name: made[name] for name in SETTINGS} == SETTINGS
    assert made["ca_pem"].strip() == pem.strip()
    assert any("certificate is not checked" in warning for warning in made["warnings"])
    route = api.plane.live.route(made["id"])
    assert route is not None
    assert (route.headers, route.response_timeout_s, route.verify_tls) == ((("X-Channel", "erp, 2"),), 12.5, False)
    assert b"X-Channel: erp, 2\r\n" in route.own_fields
    assert route.test_path == "/api/products?limit=1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in ("Host", "authorization", "Cookie", "Connection", "Content-Length", "Content-Type")),
        *((name, "x") for name in ("Transfer-Encoding", "Expect", "Upgrade", "Forwarded", "X-Forwarded-For", "TE")),
        *((name, "x") for name in ("X-Request-Id", "X-Tunnel-Nonce", "Proxy-Authorization", "Sec-Fetch-Site")),
        *((name, "x") for name in ("X-Original-URL", "x-rewrite-url", "X-HTTP-Method-Override", "X-HTTP-Method")),
        *((name, "x") for name in ("Content-Disposition", "Keep-Alive", "Range", "Date", "Traceparent")),
        *((name, "x") for name in ("X_Under", "X Blank", "X:Colon", "", "\u00e9", "X-" + "a" * 70)),
        *(("X-Fine", value) for value in ("a\r\nHost: evil", "a\nb", "\x00", "caf\u00e9", "", " ", "x" * 1025)),
    ],
)
async def test_a_header_that_is_not_a_connections_to_decide(api: ControlApi, name: str, value: str) -> None:
    await api.connection()
    before = await row_of(api)
    body = {"headers": [{"name": name, "value": value}], "api_key": API_KEY}
    assert (await api.call("PATCH", "connections/shop-lyon", body))[0] == 422
    assert await row_of(api) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": [{"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"}]},
        {"headers": [{"name": f"X-{n}", "value": "1"} for n in range(21)]},
        {"response_timeout_s": 0.5},
        {"response_timeout_s": 601},
        {"response_timeout_s": "NaN"},
        {"test_path": "/admin/"},
        {"test_path": "/api/../admin"},
        {"test_path": "/api/products?ps_method=DELETE"},
        {"test_path": "/api/products?url=customers"},
        {"test_path": "/api/pro ducts"},
        *({"test_path": f"/api/products?{name}=CANARY"} for name in ("ws_key", "WS_KEY", "ws%5Fkey", "a=1&ws.key")),
        {"test_method": "DELETE"},
        {"ca_pem": "not a certificate"},
        {"ca_pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"},
        {"concurrency": 101},
        {"concurrency": 0},
    ],
)
async def test_what_cannot_be_changes_nothing(api: ControlApi, changes: dict[str, Any]) -> None:
    await api.connection()
    before = await row_of(api)
    status, problem = await api.call("PATCH", "connections/shop-lyon", {**changes, "api_key": API_KEY})
    assert (status, problem["title"]) == (422, "Not acceptable as it is")
    assert "CANARY" not in api.text
    assert await row_of(api) == before


@pytest.mark.parametrize(
    "spelling", ["{pem}", "  {pem}  ", "one line", "indented", "crlf", "# shop's CA\n{pem}<script>"]
)
async def test_a_ca_in_any_spelling_is_one_that_tls_can_use(api: ControlApi, tmp_path: Path, spelling: str) -> None:
    pem = CertificateAuthority(tmp_path).ca_file.read_text()
    lines = pem.splitlines()
    given = {"one line": " ".join(lines), "indented": "\n".join(f"  {line}" for line in lines)}
    given["crlf"] = "\r\n".join(lines)
    made = await api.connection(ca_pem=given.get(spelling, spelling.format(pem=pem)))
    route = api.plane.live.route(made["id"])
    assert route is not None
    assert route.ca_pem == pem
    context = tls_context(route.store, None, verify=True, ca_pem=route.ca_pem)
    assert context is not None
    assert len(context.get_ca_certs()) == 1, "the public CAs are not trusted beside it"


@pytest.mark.parametrize("changes", [{"ca_pem": "x"}, {"verify_tls": False}, {"shop_host": "h.example"}])
async def test_what_belongs_to_the_agent_is_refused_and_says_where_it_is_set(
    api: ControlApi, changes: dict[str, Any]
) -> None:
    await api.agent()
    await api.connection(mode="on-premise", agent="warehouse")
    status, problem = await api.call("PATCH", "connections/shop-lyon", {**changes, "api_key": API_KEY})
    assert (status, "agent.toml" in problem["detail"]) == (422, True)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("key", [{}, {"api_key": ""}, {"api_key": "short"}, {"api_key": None}])
async def test_no_edit_without_the_key(api: ControlApi, method: str, key: dict[str, Any]) -> None:
    await api.connection()
    before = await row_of(api)
    body = {"name": "Other", "mode": "cloud", "store_url": "https://evil.example/api/", **key}
    assert (await api.call(method, "connections/shop-lyon", body))[0] == 422
    assert await row_of(api) == before


async def test_put_sets_everything_anew(api: ControlApi) -> None:
    made = await api.connection(**SETTINGS)
    body = {"name": "Shop Lyon", "mode": "cloud", "store_url": "https://shop.example.com/api/", "api_key": API_KEY}
    status, put = await api.call("PUT", "connections/shop-lyon", body)
    assert (status, put["id"], put["slug"]) == (200, made["id"], "shop-lyon")
    assert (put["headers"], put["response_timeout_s"], put["verify_tls"], put["concurrency"]) == ([], None, True, 8)


async def test_a_changed_mode_drops_what_only_the_other_one_has(api: ControlApi, tmp_path: Path) -> None:
    await api.agent()
    pem = CertificateAuthority(tmp_path).ca_file.read_text()
    await api.connection(ca_pem=pem, verify_tls=False)
    body = {"mode": "on-premise", "agent": "warehouse", "api_key": API_KEY}
    status, changed = await api.call("PATCH", "connections/shop-lyon", body)
    assert (status, changed["ca_pem"], changed["verify_tls"]) == (200, None, True)


async def test_headers_that_the_agent_must_let_through_are_said(api: ControlApi) -> None:
    await api.agent()
    headers = [{"name": "X-Channel", "value": "erp"}, {"name": "Accept-Language", "value": "fr"}]
    made = await api.connection(mode="on-premise", agent="warehouse", headers=headers)
    (warning,) = made["warnings"]
    assert "X-Channel only when forward_fields" in warning
    assert "Accept-Language" not in warning


async def test_a_clone_needs_a_key_of_its_own(api: ControlApi) -> None:
    await api.connection(**SETTINGS)
    assert (await api.call("POST", "connections/shop-lyon/clone", {"name": "Copy"}))[0] == 422
    clone = await api.created("connections/shop-lyon/clone", name="Copy", api_key="B" * 32)
    assert clone["slug"] == "copy"
    assert {name: clone[name] for name in SETTINGS} == SETTINGS
    route = api.plane.live.route(clone["id"])
    assert route is not None
    assert route.api_key == "B" * 32


async def test_two_editors_do_not_overwrite_each_other(api: ControlApi) -> None:
    made = await api.connection()
    body = {"concurrency": 2, "api_key": API_KEY}
    status, _ = await api.call("PATCH", "connections/shop-lyon", body, fields={"if-match": f'"{made["version"]}"'})
    assert status == 200
    status, problem = await api.call(
        "PATCH", "connections/shop-lyon", body | {"concurrency": 4}, fields={"if-match": f'"{made["version"]}"'}
    )
    assert (status, problem["name"], "Somebody else" in problem["detail"]) == (412, "edited_meanwhile", True)
    assert (await row_of(api))["concurrency"] == 2


async def test_a_preview_asks_nobody_and_repeats_no_token(api: ControlApi) -> None:
    url = "https://shop.example.com/admin123abcdef/index.php?controller=AdminOrders&token=CANARY"
    status, shown = await api.call("POST", "connections/preview", {"store_url": url, "name": "Shop Lyon"})
    assert (status, shown["webservice_urls"], shown["slug"]) == (200, ["https://shop.example.com/api/"], "shop-lyon")
    assert shown["left_out"] == ["the path behind the shop's folder", "the parameters controller, token"]
    assert "CANARY" not in api.text
    await api.connection()
    _, shown = await api.call("POST", "connections/preview", {"store_url": url, "name": "Shop Lyon"})
    assert shown["slug"] == "shop-lyon-2"
    status, problem = await api.call("POST", "connections/preview", {"store_url": "ftp://CANARY/"})
    assert (status, "CANARY" in api.text, problem["field"]) == (422, False, "store_url")


async def test_lists_are_searched_and_filtered(api: ControlApi) -> None:
    await api.agent()
    await api.connection("Shop Lyon", mode="on-premise", agent="warehouse")
    await api.connection("Shop Paris")
    await api.call("POST", "connections/shop-paris/disable")

    async def slugs(query: str) -> list[str]:
        _, found = await api.call("GET", f"connections?{query}")
        return [each["slug"] for each in found]

    assert await slugs("q=WARE") == ["shop-lyon"]
    assert await slugs("mode=cloud") == ["shop-paris"]
    assert await slugs("agent=warehouse") == ["shop-lyon"]
    assert await slugs("enabled=false") == ["shop-paris"]
    assert await slugs("limit=1&offset=1") == ["shop-paris"]
