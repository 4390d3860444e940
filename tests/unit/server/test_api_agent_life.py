"""Agents beyond their creation: renamed, switched, cloned, deleted, their tokens replaced with an overlap."""

from __future__ import annotations

from typing import Any

import pytest

from agent.server.operations.agent_tokens import sweep_secrets
from agent.tunnel.token import parse_token
from tests.kit.control_plane import ControlApi


def admits(api: ControlApi, token: str) -> bool:
    """Would the SSH endpoint let this token in now?"""
    parsed = parse_token(token)
    return api.plane.live.authenticate(parsed.agent_id, parsed.secret) is not None


async def test_both_tokens_work_until_the_grace_period_ends(api: ControlApi) -> None:
    old = (await api.agent())["access_token"]
    rotated = await api.created("agents/warehouse/rotate", grace_period_s=3600)
    new = rotated["access_token"]
    assert new != old
    assert parse_token(new).agent_id == parse_token(old).agent_id
    assert rotated["agent"]["old_token_until"] is not None
    assert (admits(api, old), admits(api, new)) == (True, True)
    start = api.plane.clock()
    api.plane.live._clock = api.plane.clock = lambda: start + 3601
    assert (admits(api, old), admits(api, new)) == (False, True)
    await sweep_secrets(api.plane)
    _, agent = await api.call("GET", "agents/warehouse")
    assert agent["old_token_until"] is None
    _, trail = await api.call("GET", "audit")
    assert [entry["action"] for entry in trail[:2]] == ["agent.old_tokens_ended", "agent.token_rotated"]


async def test_a_second_rotation_does_not_make_the_first_token_live_longer(api: ControlApi) -> None:
    first = (await api.agent())["access_token"]
    await api.created("agents/warehouse/rotate", grace_period_s=60)
    await api.created("agents/warehouse/rotate", grace_period_s=86_400)
    start = api.plane.clock()
    api.plane.live._clock = lambda: start + 61
    assert not admits(api, first)


async def test_without_grace_the_old_token_ends_at_once(api: ControlApi) -> None:
    old = (await api.agent())["access_token"]
    new = (await api.created("agents/warehouse/rotate", grace_period_s=0))["access_token"]
    assert (admits(api, old), admits(api, new)) == (False, True)


async def test_old_tokens_can_be_ended_early(api: ControlApi) -> None:
    old = (await api.agent())["access_token"]
    new = (await api.created("agents/warehouse/rotate"))["access_token"]
    status, agent = await api.call("POST", "agents/warehouse/end-old-tokens")
    assert (status, agent["old_token_until"]) == (200, None)
    assert (admits(api, old), admits(api, new)) == (False, True)


async def test_no_more_than_three_tokens_work_at_once(api: ControlApi) -> None:
    first = await api.agent()

    async def rotate(grace_s: int) -> Any:
        return (await api.created("agents/warehouse/rotate", grace_period_s=grace_s))["access_token"]

    tokens = [first["access_token"], await rotate(3600), await rotate(3600)]
    _, trail = await api.call("GET", "audit")
    status, problem = await api.call("POST", "agents/warehouse/rotate", {"grace_period_s": 3600})
    assert (status, problem["field"]) == (409, "grace_period_s")
    assert f"integration-server agents end-old-tokens {first['agent']['id']}" in problem["detail"]
    assert (await api.call("GET", "audit"))[1] == trail
    assert [admits(api, token) for token in tokens] == [True] * 3
    tokens.append(await rotate(0))
    assert [admits(api, token) for token in tokens] == [False] * 3 + [True]
    await rotate(3600)
    await rotate(3600)
    await api.call("POST", "agents/warehouse/end-old-tokens")
    await rotate(3600)
    later = api.plane.clock() + 3601
    api.plane.live._clock = api.plane.clock = lambda: later
    await rotate(3600)  # what has come to its end does not count, swept or not
    await rotate(3600)


@pytest.mark.parametrize("grace", [-1, 30 * 86_400 + 1, "soon", None])
async def test_a_grace_period_that_cannot_be(api: ControlApi, grace: object) -> None:
    old = (await api.agent())["access_token"]
    status, _ = await api.call("POST", "agents/warehouse/rotate", {"grace_period_s": grace})
    assert (status, admits(api, old)) == (422, True)


async def test_a_disabled_agent_keeps_its_token(api: ControlApi) -> None:
    token = (await api.agent())["access_token"]
    status, agent = await api.call("POST", "agents/warehouse/disable")
    assert (status, agent["state"], agent["enabled"]) == (200, "disabled", False)
    parsed = parse_token(token)
    record = api.plane.live.authenticate(parsed.agent_id, parsed.secret)
    assert record is not None
    assert not record.enabled
    _, agent = await api.call("POST", "agents/warehouse/enable")
    assert agent["state"] == "awaiting_install"


async def test_an_agent_in_use_cannot_be_deleted_and_says_by_whom(api: ControlApi) -> None:
    token = (await api.agent())["access_token"]
    await api.connection(mode="on-premise", agent="warehouse")
    status, problem = await api.call("DELETE", "agents/warehouse")
    assert (status, "is used by shop-lyon" in problem["detail"]) == (409, True)
    _, agent = await api.call("GET", "agents/warehouse")
    assert agent["connections_count"] == 1
    await api.call("DELETE", "connections/shop-lyon")
    assert await api.call("DELETE", "agents/warehouse") == (200, {"name": "warehouse"})
    assert (await api.call("GET", "agents/warehouse"))[0] == 404
    assert not admits(api, token)


async def test_a_clone_has_a_token_of_its_own(api: ControlApi) -> None:
    made = await api.agent(description="rack 4", max_instances=3)
    clone = await api.created("agents/warehouse/clone", name="warehouse 2")
    assert (clone["agent"]["description"], clone["agent"]["max_instances"]) == ("rack 4", 3)
    assert parse_token(clone["access_token"]).agent_id != made["agent"]["id"]
    assert (await api.call("POST", "agents/warehouse/clone", {"name": "warehouse"}))[0] == 409


async def test_a_renamed_agent_is_still_used(api: ControlApi) -> None:
    await api.agent()
    await api.agent("other")
    await api.connection(mode="on-premise", agent="warehouse")
    assert (await api.call("PATCH", "agents/warehouse", {"name": "other"}))[0] == 409
    assert (await api.call("PATCH", "agents/warehouse", {"name": "depot"}))[0] == 200
    assert (await api.call("GET", "connections/shop-lyon"))[1]["agent_name"] == "depot"


async def test_lists_come_in_pages_and_can_be_searched(api: ControlApi) -> None:
    for name in ("Lyon 1", "lyon 2", "Paris", "100%_sure"):
        await api.agent(name)
    await api.call("POST", "agents/Paris/revoke")

    async def names(query: str) -> list[str]:
        _, found = await api.call("GET", f"agents?{query}")
        return [each["name"] for each in found]

    assert await names("q=LYON") == ["Lyon 1", "lyon 2"]
    assert await names("q=%25_") == ["100%_sure"]
    assert await names("q=_") == ["100%_sure"]
    assert await names("limit=2&offset=1") == ["Lyon 1", "lyon 2"]
    assert await names("state=revoked") == ["Paris"]
    assert await names("state=awaiting_install&limit=1") == ["100%_sure"]
    await api.call("POST", "agents/lyon 2/disable")
    assert await names("enabled=false") == ["lyon 2"]
    assert await names("enabled=true&q=lyon") == ["Lyon 1"]
    assert await names("enabled=true&state=disabled") == []
    assert (await api.call("GET", "agents?limit=0"))[0] == 422
    assert (await api.call("GET", "agents?q=a%00b"))[0] == 422
