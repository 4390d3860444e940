"""The panel over HTTP: who sees what, security fields on every answer, hostile text, forged forms."""

from __future__ import annotations

import re

import pytest

from agent.server.panel.security_fields import CONTENT_SECURITY_POLICY
from agent.server.panel_gate import SESSION_COOKIE
from tests.kit.control_plane import API_KEY, ControlApi
from tests.kit.panel import PASSWORD, Panel

PAGES = (
    *("/", "/agents", "/agents/new", "/connections", "/connections/new", "/client-keys", "/client-keys/new"),
    *("/exchanges", "/people", "/api-tokens", "/audit", "/settings", "/account", "/docs", "/login", "/nothing"),
    *("/notices", "/notices/targets", "/notices/targets/new", "/transfer"),
)
OF_ADMINS = {"/agents/new", "/client-keys/new", "/people", "/api-tokens", "/notices/targets/new"}
OF_EDITORS = {"/connections/new", "/audit"}


@pytest.mark.parametrize("who", ["", "viewer", "editor", "admin"])
async def test_who_sees_what_and_every_answer_has_the_security_fields(panel: Panel, who: str) -> None:
    for path in PAGES:
        answer = await panel.get(path, who)
        expected = 200
        if path == "/nothing":
            expected = 404
        elif path == "/login":
            expected = 303 if who else 200
        elif not who:
            expected = 303
        elif (path in OF_ADMINS and who != "admin") or (path in OF_EDITORS and who == "viewer"):
            expected = 403
        assert (path, answer.status) == (path, expected)
        assert answer.fields["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.fields["cache-control"] == "no-store"
        assert answer.fields["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" not in answer.fields  # this is plain http


async def test_nobody_is_sent_to_the_login_page_and_back(panel: Panel) -> None:
    answer = await panel.get("/agents")
    assert (answer.status, answer.fields["location"]) == (303, "/login?next=/agents")
    form = {"name": "viewer", "password": PASSWORD, "next": "/agents"}
    entered = await panel.post("/login", form)
    assert (entered.status, entered.fields["location"]) == (303, "/agents")
    cookie = entered.fields["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert all(mark in cookie.lower() for mark in ("secure", "httponly", "path=/", "samesite=lax"))
    assert panel.cookies["viewer"] not in cookie


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/logout"])
async def test_login_leads_nowhere_else(panel: Panel, path: str) -> None:
    answer = await panel.post("/login", {"name": "viewer", "password": PASSWORD, "next": path})
    assert answer.fields["location"] == "/"


async def test_a_refused_login_keeps_the_name_and_never_the_password(panel: Panel) -> None:
    answer = await panel.post("/login", {"name": "viewer", "password": "CANARYCANARY"})
    assert answer.status == 422
    assert "Name or password are not right" in answer.text
    assert 'value="viewer"' in answer.text
    assert "CANARY" not in answer.text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_cannot_log_anybody_in(panel: Panel, site: str) -> None:
    answer = await panel.post("/login", {"name": "viewer", "password": PASSWORD}, sec_fetch_site=site)
    assert (answer.status, "set-cookie" in answer.fields) == (403, False)


@pytest.mark.parametrize("host", ["192.168.1.20:8081", "panel.lan", "10.0.0.5"])
async def test_plain_http_in_a_network_says_why_nobody_can_log_in(panel: Panel, host: str) -> None:
    page = await panel.get("/login", host=host)
    assert "Nobody can log in at this address" in page.text
    assert "<form" not in page.text
    assert (await panel.post("/login", {"name": "viewer", "password": PASSWORD}, host=host)).status == 403
    assert "Nobody can log in" not in (await panel.get("/login", host="localhost:8081")).text


@pytest.mark.parametrize(
    ("token", "fields"),
    [
        ("", {}),
        ("wrong", {}),
        ("of another session", {}),
        ("own", {"sec_fetch_site": "cross-site"}),
        ("own", {"origin": "https://evil.example"}),
        ("own", {"origin": "null"}),
    ],
)
async def test_a_forged_form_changes_nothing(panel: Panel, token: str, fields: dict[str, str]) -> None:
    given = {"own": panel.csrf["admin"], "of another session": panel.csrf["editor"]}.get(token, token)
    form = {"name": "forged", "max_instances": "1", "public_ssh_address": "h.example:22", "csrf_token": given}
    answer = await panel.post("/agents", form, "admin", **fields)
    assert answer.status == 403
    assert (await panel.api.call("GET", "agents"))[1] == []


async def test_the_api_takes_the_cookie_only_with_its_token(panel: Panel) -> None:
    assert (await panel.get("/v1/session", "editor")).json["actor"] == "person:editor"
    body = b'{"description": "x"}'
    fields = {"content_type": "application/json", "sec_fetch_site": "same-origin"}
    await panel.api.agent()
    refused = await panel.ask("PATCH", "/v1/agents/warehouse", "editor", fields, body)
    assert (refused.status, refused.json["name"]) == (403, "forbidden")
    allowed = fields | {"x_csrf_token": panel.csrf["editor"]}
    assert (await panel.ask("PATCH", "/v1/agents/warehouse", "editor", allowed, body)).status == 200


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "{{ 7*7 }}"])
async def test_hostile_text_stays_text(panel: Panel, name: str) -> None:
    made = await panel.api.agent(name, description=name)
    await panel.api.connection(name)
    await panel.api.created("client-keys", all_connections=True, name=name)
    for path in (
        "/agents",
        f"/agents/{made['agent']['id']}",
        "/connections",
        "/client-keys",
        "/audit",
        "/connections/new",
    ):
        answer = await panel.get(path, "admin")
        assert answer.status == 200
        for part in ("<script>alert", "<img", "> 49 <"):
            assert part not in answer.text


async def test_static_files_are_kept_for_ever_and_only_under_their_hash(panel: Panel) -> None:
    found = re.findall(r'"(/static/[^"]+)"', (await panel.get("/login")).text)
    assert len(found) == 5
    for path in found:
        answer = await panel.get(path)
        assert (answer.status, answer.fields["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert (await panel.get("/static/000000000000/panel.css")).status == 404
    assert (await panel.get(found[0].rsplit("/", 1)[0] + "/..%2f..%2fvisitor.py")).status == 404


async def test_errors_are_pages_for_browsers_and_problems_for_programs(panel: Panel) -> None:
    assert (await panel.get("/nothing")).fields["content-type"].startswith("text/html")
    assert (await panel.get("/v1/nothing")).fields["content-type"] == "application/problem+json"
    unknown = await panel.get("/agents/nobody", "viewer")
    assert (unknown.status, "No agent has this id or name" in unknown.text) == (404, True)
    nobody = await panel.get("/v1/agents")
    assert (nobody.status, nobody.fields["www-authenticate"]) == (401, "Bearer")


async def test_logging_out_needs_the_token_and_ends_the_session(panel: Panel) -> None:
    assert (await panel.post("/logout", {"csrf_token": "wrong"}, "viewer")).status == 403
    assert (await panel.get("/agents", "viewer")).status == 200
    assert (await panel.post("/logout", {}, "viewer")).status == 303
    assert (await panel.get("/agents", "viewer")).status == 303


async def test_a_connection_form_without_the_key_changes_nothing(panel: Panel, api: ControlApi) -> None:
    await api.connection()
    _, before = await api.call("GET", "connections/shop-lyon")
    form = {
        "name": "Other",
        "mode": "cloud",
        "store_url": "https://evil.example/api/",
        "methods": ["GET"],
        "verify_tls": "on",
        "concurrency": "3",
        "since": before["version"],
    }
    refused = await panel.post("/connections/shop-lyon/edit", form, "editor")
    assert refused.status == 422
    assert "enter it again" in refused.text
    assert (await api.call("GET", "connections/shop-lyon"))[1] == before
    saved = await panel.post("/connections/shop-lyon/edit", form | {"api_key": API_KEY}, "editor")
    assert (saved.status, saved.fields["location"]) == (303, "/connections/shop-lyon?done=saved")
    page = await panel.get("/connections/shop-lyon/edit", "editor")
    assert "https://evil.example/api/" in page.text
    assert API_KEY not in page.text
    stale = await panel.post("/connections/shop-lyon/edit", form | {"api_key": API_KEY}, "editor")
    assert (stale.status, "Somebody else has just edited" in stale.text) == (422, True)


async def test_an_editor_cannot_switch_verification_off(panel: Panel, api: ControlApi) -> None:
    form = {
        "name": "Shop",
        "mode": "cloud",
        "store_url": "https://h.example/api/",
        "methods": ["GET"],
        "api_key": API_KEY,
        "verify_tls": "",
    }
    assert (await panel.post("/connections", form, "editor")).status == 422
    assert (await api.call("GET", "connections"))[1] == []
    assert (await panel.post("/connections", form, "admin")).status == 303
    _, trail = await api.call("GET", "audit")
    assert "connection.verification_off" in [entry["action"] for entry in trail]


async def test_the_preview_shows_the_webservice_and_no_token(panel: Panel) -> None:
    url = "https://shop.example.com/shop/admin123abc456/index.php?controller=AdminOrders&token=CANARY"
    shown = await panel.post("/connections/preview", {"store_url": url}, "editor")
    assert (shown.status, "https://shop.example.com/shop/api/" in shown.text) == (200, True)
    assert "CANARY" not in shown.text
    assert "error-text" in (await panel.post("/connections/preview", {"store_url": "ftp://h.example/"}, "editor")).text
    slug = await panel.post("/connections/preview-slug", {"name": "Boutique d'\u00c9t\u00e9"}, "editor")
    assert "/boutique-d-ete" in slug.text
