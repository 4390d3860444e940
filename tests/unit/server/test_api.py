"""The control API as a whole: refusals that repeat nothing, the audit trail, a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from agent.tunnel.token import parse_token
from tests.kit.control_plane import API_KEY, ControlApi, control_api


@pytest.mark.parametrize(
    "body",
    [
        b'{"api_key": "CANARY0CANARY0CANARY0CANARY0CANA", "name": 5}',
        b'{"api_key": ["CANARY0CANARY0CANARY0CANARY0CANA"]}',
        b'{"api_key": "CANARY", "store_url": {"CANARY": 1}}',
        b'{"CANARY0CANARY0CANARY0CANARY0CANA": 1}',
        b'{"mode": "CANARY", "concurrency": "CANARY", "methods": ["CANARY"], "key_in": "CANARY"}',
        b'{"api_key": "CANARY',
        b'["CANARY"]',
        b'"CANARY"',
        b"CANARY",
        b"\xff\xfeCANARY",
    ],
)
async def test_a_refused_body_is_never_repeated(api: ControlApi, body: bytes) -> None:
    status, problem = await api.call("POST", "connections", body)
    assert "CANARY" not in api.text
    assert status in (400, 422)
    assert problem["type"].startswith("urn:integration-server:")
    assert problem["status"] == status


async def test_an_unknown_field_is_named(api: ControlApi) -> None:
    _, problem = await api.call("POST", "agents", {"name": "a", "max_instance": 2})
    assert {"field": "max_instance", "message": "is not known here"} in problem["errors"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "nothing", 404), ("PUT", "agents", 405)])
async def test_unknown_paths_and_methods_are_problems_too(api: ControlApi, method: str, path: str, status: int) -> None:
    found, problem = await api.call(method, path)
    assert (found, problem["status"]) == (status, status)


async def test_the_audit_trail_says_who_did_what_without_secrets(api: ControlApi) -> None:
    secrets = [(await api.agent())["access_token"]]
    await api.connection()
    secrets.append((await api.created("client-keys", connections=["shop-lyon"]))["key"])
    await api.call("POST", "agents/warehouse/revoke", actor="alice")
    _, trail = await api.call("GET", "audit")
    assert [(entry["actor"], entry["action"]) for entry in trail] == [
        ("local:alice", "agent.revoked"),
        ("local:tester", "client_key.created"),
        ("local:tester", "connection.created"),
        ("local:tester", "agent.created"),
        ("local:tester", "settings.remembered"),
    ]
    assert all(secret not in api.text for secret in [*secrets, API_KEY])
    assert (await api.call("GET", "audit?limit=2"))[1] == trail[:2]
    assert json.loads(api.text)["items"][0]["subject"] == "warehouse"
    assert json.loads(api.text)["total"] == 5


async def test_a_failed_change_leaves_no_trace(api: ControlApi) -> None:
    await api.connection()
    before = await api.call("GET", "audit")
    await api.call("POST", "client-keys", {"connections": ["shop-lyon", "unknown"]})
    assert await api.call("GET", "audit") == before


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with control_api(tmp_path) as api:
        token = parse_token((await api.agent())["access_token"])
        await api.connection()
        key = (await api.created("client-keys", connections=["shop-lyon"]))["key"]
    async with control_api(tmp_path) as api:
        assert api.plane.live.authenticate(token.agent_id, token.secret) is not None
        route, _ = api.admits("shop-lyon", key)
        assert route.api_key == API_KEY


async def test_status_without_a_running_server(api: ControlApi) -> None:
    status, shown = await api.call("GET", "status")
    assert (status, shown["running"], shown["state"]) == (200, False, "not_running")


@pytest.mark.parametrize("path", ["agents/a%00b", "connections/a%00b", "client-keys/a%00b", "people/a%00b"])
async def test_what_no_database_can_hold_is_not_found(api: ControlApi, path: str) -> None:
    status, problem = await api.call("GET", path)
    assert (status, problem["name"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["a\x00b", "a\x07b", "a\u202eb"])
async def test_names_with_control_characters_are_refused(api: ControlApi, name: str) -> None:
    for path, body in (
        ("agents", {"name": name, "public_ssh_address": "h.example:22"}),
        ("agents", {"name": "fine", "description": name, "public_ssh_address": "h.example:22"}),
        ("client-keys", {"name": name, "all_connections": True}),
        ("people", {"name": name, "role": "viewer"}),
        ("api-tokens", {"name": name, "role": "viewer"}),
    ):
        assert (await api.call("POST", path, body))[0] == 422


async def test_changes_that_collide_in_the_database_are_a_conflict(
    api: ControlApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may write between the look and the change; then the database itself refuses."""

    async def looked_too_early(*_: object) -> None:
        pass

    await api.connection()
    await api.agent()
    monkeypatch.setattr("agent.server.operations.connection_changes.check_name_is_free", looked_too_early)
    body = {"name": "Shop Lyon", "mode": "cloud", "store_url": "https://h.example/api/", "api_key": API_KEY}
    status, problem = await api.call("POST", "connections", body)
    assert (status, problem["name"], "repeat the change" in problem["detail"]) == (409, "conflict", True)
    assert len((await api.call("GET", "connections"))[1]) == 1


async def test_a_database_that_is_gone_is_said_and_the_gateway_knows_its_tables(api: ControlApi) -> None:
    await api.connection()
    key = (await api.created("client-keys", all_connections=True))["key"]
    real, api.plane.engine = api.plane.engine, create_async_engine("sqlite+aiosqlite:////nowhere/at/all")
    status, problem = await api.call("GET", "agents")
    api.plane.engine = real
    assert (status, problem["name"]) == (503, "database_unavailable")
    assert api.admits("shop-lyon", key) is not None
