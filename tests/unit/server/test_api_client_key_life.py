"""Client keys beyond their creation: narrowed, widened, switched, cloned, deleted."""

from __future__ import annotations

import pytest

from agent.server.operations.client_keys import update_client_key
from agent.server.operations.principal import ForbiddenError, Principal, Role
from tests.kit.control_plane import ControlApi

EDITOR = Principal("person:eddie", Role.EDITOR)


async def two_connections(api: ControlApi) -> str:
    """Two connections, and a key that opens the first; the key."""
    await api.connection("One")
    await api.connection("Two")
    made = await api.created("client-keys", connections=["one"], methods=["GET"], name="erp")
    key: str = made["key"]
    return key


async def test_a_key_can_be_switched_off_and_on(api: ControlApi) -> None:
    key = await two_connections(api)
    assert api.admits("one", key) is not None
    _, shown = await api.call("POST", "client-keys/erp/disable")
    assert (shown["state"], api.admits("one", key)) == ("disabled", None)
    _, shown = await api.call("POST", "client-keys/erp/enable")
    assert shown["state"] == "active"
    assert api.admits("one", key) is not None


async def test_changing_what_a_key_opens(api: ControlApi) -> None:
    key = await two_connections(api)
    status, shown = await api.call("PATCH", "client-keys/erp", {"connections": ["two"], "methods": None})
    assert (status, shown["connections"], shown["methods"]) == (200, ["two"], None)
    assert api.admits("one", key) is None
    assert api.admits("two", key) is not None
    _, shown = await api.call("PATCH", "client-keys/erp", {"all_connections": True})
    assert shown["connections"] is None
    assert api.admits("one", key) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"connections": ["one", "two"]},
        {"all_connections": True},
        {"methods": ["GET", "POST"]},
        {"methods": None},
        {"expires_at": None},
        {"expires_at": 10_000_000_000.0},
    ],
)
async def test_an_editor_cannot_open_more(api: ControlApi, changes: dict[str, object]) -> None:
    await two_connections(api)
    await update_client_key(api.plane, EDITOR, "erp", {"expires_at": 9_000_000_000.0})
    before = await api.call("GET", "client-keys/erp")
    with pytest.raises(ForbiddenError):
        await update_client_key(api.plane, EDITOR, "erp", changes)
    assert await api.call("GET", "client-keys/erp") == before


async def test_an_editor_can_narrow(api: ControlApi) -> None:
    await two_connections(api)
    await api.call("PATCH", "client-keys/erp", {"connections": ["one", "two"], "methods": None})
    shown = await update_client_key(api.plane, EDITOR, "erp", {"connections": ["two"], "methods": ["HEAD"]})
    assert (shown.connections, shown.methods) == (("two",), ("HEAD",))


@pytest.mark.parametrize(
    "changes", [{"connections": []}, {"methods": []}, {"methods": ["TRACE"]}, {"expires_at": "2020-01-01T00:00:00Z"}]
)
async def test_what_cannot_be_changes_nothing(api: ControlApi, changes: dict[str, object]) -> None:
    await two_connections(api)
    before = await api.call("GET", "client-keys/erp")
    assert (await api.call("PATCH", "client-keys/erp", changes))[0] == 422
    assert await api.call("GET", "client-keys/erp") == before


async def test_a_clone_opens_the_same_with_another_key(api: ControlApi) -> None:
    key = await two_connections(api)
    made = await api.created("client-keys/erp/clone", name="erp 2")
    assert made["key"] != key
    assert (made["client_key"]["connections"], made["client_key"]["methods"]) == (["one"], ["GET"])
    assert api.admits("one", made["key"]) is not None


async def test_only_a_key_that_is_over_can_be_deleted(api: ControlApi) -> None:
    await two_connections(api)
    assert (await api.call("DELETE", "client-keys/erp"))[0] == 409
    await api.call("POST", "client-keys/erp/revoke")
    assert (await api.call("POST", "client-keys/erp/enable"))[0] == 409
    assert (await api.call("PATCH", "client-keys/erp", {"name": "x"}))[0] == 409
    assert await api.call("DELETE", "client-keys/erp") == (200, {"name": "erp"})
    assert (await api.call("GET", "client-keys/erp"))[0] == 404


async def test_keys_are_listed_by_state_and_by_what_they_open(api: ControlApi) -> None:
    await two_connections(api)
    await api.created("client-keys", all_connections=True, name="bi")
    await api.created("client-keys", connections=["two"], name="old")
    await api.call("POST", "client-keys/old/revoke")

    async def names(query: str) -> set[str]:
        _, found = await api.call("GET", f"client-keys?{query}")
        return {each["name"] for each in found}

    assert await names("state=active") == {"erp", "bi"}
    assert await names("state=revoked") == {"old"}
    assert await names("connection=one") == {"erp", "bi"}
    assert await names("q=B") == {"bi"}


async def test_a_change_of_nothing_is_refused_and_leaves_no_trace(api: ControlApi) -> None:
    await api.created("client-keys", all_connections=True, name="erp")
    before = await api.call("GET", "client-keys/erp"), await api.call("GET", "audit")
    status, problem = await api.call("PATCH", "client-keys/erp", {})
    assert (status, "Nothing to change was given" in problem["detail"]) == (422, True)
    assert (await api.call("GET", "client-keys/erp"), await api.call("GET", "audit")) == before
