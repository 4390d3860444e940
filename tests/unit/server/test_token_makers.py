"""API tokens and the people who made them: nothing is gained by a narrow token, and nothing outlives its maker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.server.operations import api_tokens, people
from agent.server.operations.failures import NotFoundError
from agent.server.operations.principal import ForbiddenError, Permission, Principal, Role
from tests.kit.control_plane import ControlApi
from tests.kit.panel import ADMIN, Panel, panel_of

PEOPLE_ONLY = Principal("token:hr", Role.ADMIN, frozenset({"people"}))


@pytest.fixture
async def panel(api: ControlApi) -> AsyncIterator[Panel]:
    """The panel, with people who never logged in; berta and admin are admins."""
    for name, role in (("admin", "admin"), ("berta", "admin"), ("editor", "editor"), ("viewer", "viewer")):
        await people.invite_person(api.plane, ADMIN, name=name, role=Role(role))
    async with panel_of(api) as opened:
        yield opened


async def token_of(panel: Panel, name: str, role: Role = Role.ADMIN, scopes: list[str] | None = None) -> str:
    """A token that the person berta made."""
    berta = await people.get_person(panel.api.plane, "berta")
    asker = Principal("person:berta", Role.ADMIN, None, berta.id)
    return (await api_tokens.create_api_token(panel.api.plane, asker, name=name, role=role, scopes=scopes)).secret


async def test_a_token_for_people_makes_nobody_who_may_do_more_than_it(panel: Panel) -> None:
    secret = await token_of(panel, "hr", scopes=["people"])
    for method, path, body in (
        ("POST", "people", {"name": "eve", "role": "admin"}),
        ("POST", "people", {"name": "eve", "role": "viewer"}),
        ("PATCH", "people/viewer", {"role": "admin"}),
        ("POST", "people/admin/link", None),
        ("POST", "people/viewer/enable", None),
    ):
        answer = await panel.call(method, path, secret, body)
        assert (answer.status, answer.json["name"]) == (403, "forbidden"), path
        assert "/welcome/" not in answer.text
    assert (await panel.call("GET", "people/eve", secret)).status == 404
    assert (await panel.call("GET", "people/viewer", secret)).json["role"] == "viewer"
    for method, path, body in (
        ("PATCH", "people/editor", {"role": "viewer"}),
        ("POST", "people/viewer/disable", None),
        ("DELETE", "people/viewer", None),
    ):
        assert (await panel.call(method, path, secret, body)).status == 200, path


async def test_a_token_that_has_all_of_a_role_may_let_it_in(api: ControlApi) -> None:
    scopes = {permission.scope for permission in Permission if permission.lowest_role is Role.VIEWER} | {"people"}
    asker = Principal("token:hr", Role.ADMIN, frozenset(scopes))
    assert (await people.invite_person(api.plane, asker, name="v", role=Role.VIEWER)).person.role is Role.VIEWER
    with pytest.raises(ForbiddenError, match="role editor"):
        await people.invite_person(api.plane, asker, name="e", role=Role.EDITOR)


async def test_a_token_rests_while_its_maker_is_disabled(panel: Panel) -> None:
    secret = await token_of(panel, "ci")
    assert (await panel.call("GET", "agents", secret)).status == 200
    await people.set_person_enabled(panel.api.plane, ADMIN, "berta", enabled=False)
    refused = await panel.call("GET", "agents", secret)
    assert (refused.status, "who made it is disabled" in refused.json["detail"]) == (401, True)
    _, (shown,) = await panel.api.call("GET", "api-tokens")
    assert (shown["state"], shown["made_by"], shown["revoked_at"]) == ("resting", "berta", None)
    await people.set_person_enabled(panel.api.plane, ADMIN, "berta", enabled=True)
    assert (await panel.call("GET", "agents", secret)).status == 200


async def test_a_token_is_revoked_with_its_maker_and_with_whom_it_made_others_for(panel: Panel) -> None:
    secret = await token_of(panel, "ci")
    child = (await panel.call("POST", "api-tokens", secret, {"name": "child", "role": "admin"})).json["secret"]
    assert (await panel.call("GET", "agents", child)).status == 200
    await people.delete_person(panel.api.plane, "person:admin", "berta")
    for gone in (secret, child):
        assert (await panel.call("GET", "agents", gone)).status == 401
    _, shown = await panel.api.call("GET", "api-tokens")
    assert {(each["name"], each["state"]) for each in shown} == {("ci", "revoked"), ("child", "revoked")}
    _, trail = await panel.api.call("GET", "audit?action=api_token.revoked")
    assert {(entry["actor"], entry["subject"]) for entry in trail} == {
        ("person:admin", "ci"),
        ("person:admin", "child"),
    }


async def test_a_token_has_no_higher_role_than_its_maker_has_now(panel: Panel) -> None:
    secret = await token_of(panel, "ci")
    await people.set_role(panel.api.plane, ADMIN, "berta", Role.VIEWER)
    assert (await panel.call("GET", "session", secret)).json["role"] == "viewer"
    assert (await panel.call("POST", "people", secret, {"name": "eve", "role": "viewer"})).status == 403
    await people.set_role(panel.api.plane, ADMIN, "berta", Role.ADMIN)
    assert (await panel.call("GET", "session", secret)).json["role"] == "admin"


async def test_a_token_that_was_made_by_command_belongs_to_nobody(api: ControlApi) -> None:
    made = await api.created("api-tokens", name="ci", role="viewer")
    assert (made["token"]["made_by"], made["token"]["state"]) == (None, "active")
    assert await api_tokens.find_token(api.plane, made["secret"]) is not None


@pytest.mark.parametrize("reference", ["a\x00b", "\x00", "a\nb"])
async def test_a_reference_that_no_token_can_have_is_not_found(api: ControlApi, reference: str) -> None:
    with pytest.raises(NotFoundError, match="No API token"):
        await api_tokens.revoke_api_token(api.plane, "person:anne", reference)
