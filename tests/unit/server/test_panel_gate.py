"""Who may ask over the panel's listener: tokens, cookies, and requests that another site has a browser send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from agent.server.operations import people, sessions
from agent.server.operations.api_tokens import create_api_token, revoke_api_token
from agent.server.operations.login_throttle import LoginThrottle
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Principal, Role
from agent.server.panel_gate import SESSION_COOKIE
from tests.kit.control_plane import ControlApi
from tests.kit.panel import PASSWORD, Answer, Panel, let_everybody_in, panel_of

ADMIN = Principal("person:admin", Role.ADMIN)


@pytest.fixture
async def panel(api: ControlApi) -> AsyncIterator[Panel]:
    """The panel, with a person of each role."""
    async with panel_of(api) as opened:
        await let_everybody_in(opened)
        yield opened


async def token(panel: Panel, name: str, role: Role, scopes: list[str] | None = None) -> str:
    return (await create_api_token(panel.api.plane, ADMIN, name=name, role=role, scopes=scopes)).secret


async def change(panel: Panel, who: str, **fields: str) -> Answer:
    """A change over the API with the cookie of ``who``: an invitation, which must be an admin's own wish."""
    sent = {"content_type": "application/json", "accept": "application/json"} | fields
    return await panel.ask("POST", "/v1/people", who, sent, json.dumps({"name": "new", "role": "viewer"}).encode())


async def names(panel: Panel) -> set[str]:
    return {person.name for person in (await people.list_people(panel.api.plane, Paging())).items}


def own(panel: Panel) -> str:
    return f"http://127.0.0.1:{panel.port}"


async def test_nobody_is_told_how_to_authenticate_and_no_browser_window_opens(panel: Panel) -> None:
    answer = await panel.ask("GET", "/v1/session", fields={"accept": "application/json"})
    assert (answer.status, answer.json["name"]) == (401, "not_authenticated")
    assert answer.fields["www-authenticate"] == "Bearer"
    assert answer.fields["content-type"] == "application/problem+json"


async def test_a_cookie_says_who_asks_and_where_else_they_are(panel: Panel) -> None:
    answer = await panel.get("/v1/session", "editor")
    assert (answer.json["actor"], answer.json["role"], answer.json["scopes"]) == ("person:editor", "editor", None)
    assert len(answer.json["sessions"]) == 1
    assert panel.cookies["editor"] not in answer.text
    assert panel.csrf["editor"] not in answer.text


async def test_a_token_says_what_it_may_do(panel: Panel) -> None:
    secret = await token(panel, "ci", Role.EDITOR, ["agents:read"])
    answer = await panel.call("GET", "session", secret)
    assert answer.json == {"actor": "token:ci", "role": "editor", "scopes": ["agents:read"], "sessions": []}
    assert (await panel.call("GET", "agents", secret)).status == 200
    assert (await panel.call("GET", "connections", secret)).json["name"] == "forbidden"
    await revoke_api_token(panel.api.plane, "person:admin", "ci")
    refused = await panel.call("GET", "agents", secret)
    assert refused.status == 401
    assert secret not in refused.text


async def test_a_credential_that_does_not_work_is_not_replaced_by_the_cookie(panel: Panel) -> None:
    for authorization in [
        "Bearer ist_wrong",
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        "ist_x",
        "bearer \xe9\xff",
    ]:
        answer = await panel.get("/v1/session", "admin", authorization=authorization)
        assert answer.status == 401, authorization


async def test_a_token_wins_over_the_cookie(panel: Panel) -> None:
    secret = await token(panel, "ci", Role.VIEWER)
    assert (await panel.get("/v1/session", "admin", authorization=f"bearer {secret}")).json["actor"] == "token:ci"
    assert (await change(panel, "admin", authorization=f"Bearer {secret}")).status == 403
    assert "new" not in await names(panel)


async def test_forged_cookies_are_nobody(panel: Panel) -> None:
    for cookie in ["", "x", "a" * 5000, "\xe9\xff", "%00", '"quoted"', "../../etc"]:
        assert (await panel.get("/v1/session", cookie=f"{SESSION_COOKIE}={cookie}")).status == 401, cookie


async def test_the_cookie_of_another_name_is_nobody(panel: Panel) -> None:
    value = panel.cookies["admin"]
    for name in ("integration-server", SESSION_COOKIE.lower(), SESSION_COOKIE.upper()):
        assert (await panel.get("/v1/session", cookie=f"{name}={value}")).status == 401


async def test_changes_with_a_cookie_need_the_token_of_its_own_session(panel: Panel) -> None:
    origin = own(panel)
    for csrf in ("", "wrong", panel.csrf["editor"], panel.csrf["admin"][:-1], "\xe9"):
        answer = await change(panel, "admin", origin=origin, x_csrf_token=csrf)
        assert (answer.status, answer.json["name"]) == (403, "forbidden"), csrf
    assert (await change(panel, "admin", origin=origin)).status == 403
    again = await sessions.log_in(panel.api.plane, "admin", PASSWORD, "127.0.0.1")
    assert (await change(panel, "admin", origin=origin, x_csrf_token=again.session.csrf_token)).status == 403
    assert "new" not in await names(panel)
    assert (await change(panel, "admin", origin=origin, x_csrf_token=panel.csrf["admin"])).status == 201


FOREIGN: list[dict[str, str]] = [
    {"origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://["},
    {"origin": "nonsense"},
    {"origin": ""},
    {"origin": "OWN", "sec_fetch_site": "cross-site"},
    {"origin": "OWN", "sec_fetch_site": "same-site"},
    {"origin": "https://evil.example", "sec_fetch_site": "same-origin"},
    {},
]


async def test_a_change_that_another_site_sends_is_not_made(panel: Panel) -> None:
    for fields in FOREIGN:
        sent = {name: own(panel) if value == "OWN" else value for name, value in fields.items()}
        answer = await change(panel, "admin", x_csrf_token=panel.csrf["admin"], **sent)
        assert (answer.status, answer.json.get("name")) == (403, "forbidden"), fields
    assert "new" not in await names(panel)


@pytest.mark.parametrize("fields", [{"origin": "OWN"}, {"sec_fetch_site": "same-origin"}])
async def test_either_proof_of_the_own_site_is_enough(panel: Panel, fields: dict[str, str]) -> None:
    sent = {name: own(panel) if value == "OWN" else value for name, value in fields.items()}
    assert (await change(panel, "admin", x_csrf_token=panel.csrf["admin"], **sent)).status == 201


async def test_an_empty_host_is_not_the_origin_null(panel: Panel) -> None:
    answer = await change(panel, "admin", x_csrf_token=panel.csrf["admin"], host="", origin="null")
    assert answer.status == 403


async def test_a_login_that_another_site_sends_is_not_made(panel: Panel) -> None:
    form = {"name": "admin", "password": PASSWORD}
    for fields in ({"sec_fetch_site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "http://["}):
        answer = await panel.post("/login", form, **fields)
        assert (answer.status, "set-cookie" in answer.fields) == (403, False)


async def test_a_login_sets_a_cookie_that_scripts_and_other_hosts_never_see(panel: Panel) -> None:
    answer = await panel.post("/login", {"name": "admin", "password": PASSWORD}, cookie=f"{SESSION_COOKIE}=chosen")
    cookie, *attributes = answer.fields["set-cookie"].split("; ")
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "chosen" not in cookie  # no fixation
    assert {attribute.lower() for attribute in attributes} == {"path=/", "secure", "httponly", "samesite=lax"}


async def test_guesses_over_http_are_told_when_to_come_back(panel: Panel) -> None:
    panel.api.plane.throttle = LoginThrottle(lambda: 1000.0)  # a hash may take longer than the wait
    for _ in range(6):
        assert (await panel.post("/login", {"name": "admin", "password": "a wrong password"})).status == 422
    answer = await panel.post("/login", {"name": "admin", "password": PASSWORD})
    assert answer.status == 429
    assert 1 <= int(answer.fields["retry-after"]) <= 3


async def test_the_own_password_is_taken_as_typed(panel: Panel) -> None:
    new = "  blanks around it count  "
    form = {"old_password": PASSWORD, "password": new, "password_again": new}
    assert (await panel.post("/account/password", form, "viewer")).status == 303
    assert (await sessions.log_in(panel.api.plane, "viewer", new, "127.0.0.1")).session.name == "viewer"


async def test_two_who_open_one_link_over_http_make_one_account(panel: Panel) -> None:
    link = (await people.invite_person(panel.api.plane, ADMIN, name="new", role=Role.VIEWER)).link
    form = {"password": PASSWORD, "password_again": PASSWORD}
    answers = await asyncio.gather(*(panel.post(f"/welcome/{link.token}", form) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [303, 404, 404]


async def test_links_that_were_made_up_open_nothing(panel: Panel) -> None:
    for path in ["/welcome/x", "/welcome/%00", "/welcome/%ff", "/welcome/" + "a" * 3000]:
        assert (await panel.get(path)).status == 404, path


async def test_who_is_disabled_or_demoted_stops_at_once(panel: Panel) -> None:
    plane = panel.api.plane
    assert (await panel.get("/v1/agents", "editor")).status == 200
    assert (await panel.get("/v1/audit", "editor")).status == 200
    await people.set_role(plane, ADMIN, "editor", Role.VIEWER)
    assert (await panel.get("/v1/audit", "editor")).status == 403
    await people.set_person_enabled(plane, ADMIN, "editor", enabled=False)
    assert (await panel.get("/v1/agents", "editor")).status == 401


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_nobody_below_admin_reaches_people_and_tokens(panel: Panel, role: str) -> None:
    before = await names(panel)
    secret = await token(panel, "own", Role(role))
    wide = await token(panel, "wide", Role(role), ["people", "api-tokens"])  # scopes do not lift a role
    attempts: list[tuple[str, str, object]] = [
        ("GET", "people", None),
        ("POST", "people", {"name": "eve", "role": "admin"}),
        ("PATCH", f"people/{role}", {"role": "admin"}),
        ("POST", "people/admin/link", None),
        ("POST", "people/admin/disable", None),
        ("DELETE", "people/admin", None),
        ("GET", "api-tokens", None),
        ("POST", "api-tokens", {"name": "more", "role": "admin"}),
        ("POST", "api-tokens", {"name": "more", "role": role}),
        ("POST", "api-tokens/own/revoke", None),
    ]
    for method, path, body in attempts:
        for used in (secret, wide):
            assert (await panel.call(method, path, used, body)).status == 403, (method, path)
        fields = {"origin": own(panel), "x_csrf_token": panel.csrf[role], "content_type": "application/json"}
        content = json.dumps(body).encode() if body is not None else None
        assert (await panel.ask(method, f"/v1/{path}", role, fields, content)).status == 403, (method, path)
    assert await names(panel) == before
    assert (await panel.get("/v1/session", role)).json["role"] == role


async def test_a_narrow_admin_token_gains_nothing(panel: Panel) -> None:
    secret = await token(panel, "minter", Role.ADMIN, ["api-tokens"])
    for body in (
        {"name": "more", "role": "admin"},
        {"name": "more", "role": "admin", "scopes": ["api-tokens", "people"]},
        {"name": "more", "role": "viewer"},
    ):
        assert (await panel.call("POST", "api-tokens", secret, body)).status == 403
    same = {"name": "same", "role": "admin", "scopes": ["api-tokens"]}
    assert (await panel.call("POST", "api-tokens", secret, same)).status == 201
    assert (await panel.call("POST", "people", secret, {"name": "eve", "role": "admin"})).status == 403


async def test_unknown_fields_do_not_slip_a_role_in(panel: Panel) -> None:
    secret = await token(panel, "root", Role.ADMIN)
    for body in ({"name": "x", "role": "root"}, {"name": "x"}, {"name": "x", "role": "viewer", "password_hash": "y"}):
        assert (await panel.call("POST", "people", secret, body)).status == 422
    odd = await panel.call("GET", "people/%00", secret)
    assert (odd.status, odd.json["name"]) == (404, "not_found")
