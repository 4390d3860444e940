"""The control API on client keys: what they open, until when, and which are refused."""

from __future__ import annotations

import time

import pytest

from tests.kit.control_plane import ControlApi


async def test_a_client_key_opens_its_connection_until_it_is_revoked(api: ControlApi) -> None:
    await api.connection("one")
    await api.connection("two")
    made = await api.created("client-keys", connections=["one"], methods=["get"])
    key = made["key"]
    assert made["urls"] == ["http://127.0.0.1:8080/one"]
    route, grant = api.admits("one", key)
    assert (route.slug, grant.methods) == ("one", {"GET"})
    assert api.admits("two", key) is None
    began_at = time.monotonic()
    status, revoked = await api.call("POST", f"client-keys/{made['client_key']['id']}/revoke")
    assert api.admits("one", key) is None
    assert time.monotonic() - began_at < 1
    assert status == 200
    assert revoked["revoked_at"] is not None


async def test_a_key_for_all_opens_later_connections_too(api: ControlApi) -> None:
    key = (await api.created("client-keys", all_connections=True))["key"]
    await api.connection("later")
    assert api.admits("later", key) is not None


async def test_a_key_ends_with_its_expiry_and_with_its_connection(api: ControlApi) -> None:
    await api.connection("one")
    made = await api.created("client-keys", connections=["one"], expires_at="2999-01-01T00:00:00Z")
    routing = api.plane.live.routing
    assert routing.find(b"one", made["key"].encode(), 32_472_144_000 - 1) is not None
    assert routing.find(b"one", made["key"].encode(), 32_472_144_000) is None
    await api.call("DELETE", "connections/one")
    assert api.admits("one", made["key"]) is None
    assert (await api.call("GET", "client-keys"))[1][0]["connections"] == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "connections"),
        ({"connections": ["one"], "all_connections": True}, 422, "connections"),
        ({"connections": ["unknown"]}, 404, None),
        ({"connections": ["one"], "expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at"),
        ({"connections": ["one"], "methods": []}, 422, "methods"),
    ],
)
async def test_a_client_key_that_makes_no_sense_is_refused(
    api: ControlApi, body: dict[str, object], status: int, field: str | None
) -> None:
    await api.connection("one")
    found, problem = await api.call("POST", "client-keys", body)
    assert (found, problem.get("field")) == (status, field)
    assert await api.call("GET", "client-keys") == (200, [])


async def test_one_of_several_keys_with_a_name_is_chosen_by_id(api: ControlApi) -> None:
    await api.connection("one")
    first = await api.created("client-keys", connections=["one"])
    await api.created("client-keys", connections=["one"])
    status, problem = await api.call("POST", "client-keys/one/revoke")
    assert (status, first["client_key"]["id"] in problem["detail"]) == (422, True)
    await api.call("POST", f"client-keys/{first['client_key']['id']}/revoke")
    assert (await api.call("POST", "client-keys/one/revoke"))[0] == 200
