"""The audit trail: filtered by who, what, on what and when; newest first."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.kit.control_plane import ControlApi

HOUR = 3600.0
START = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def at_clock(api: ControlApi, at: float) -> None:
    """Let the control plane think that it is then."""
    api.plane.clock = lambda: at


async def filled(api: ControlApi) -> None:
    """Three changes, an hour apart, by two people."""
    moments = iter([START, START + HOUR, START + 2 * HOUR])
    for name, actor in (("one", "anne"), ("two", "bob"), ("one_two", "anne")):
        at_clock(api, next(moments))
        body = {"name": name, "all_connections": True}
        assert (await api.call("POST", "client-keys", body, actor=actor))[0] == 201


async def subjects(api: ControlApi, query: str) -> list[str]:
    status, found = await api.call("GET", f"audit?{query}")
    assert status == 200, found
    return [entry["subject"] for entry in found]


async def actors(api: ControlApi) -> dict[str, str]:
    found: list[dict[str, Any]] = (await api.call("GET", "audit"))[1]
    return {entry["subject"]: entry["actor"] for entry in found}


async def test_newest_first_and_in_pages(api: ControlApi) -> None:
    await filled(api)
    assert await subjects(api, "") == ["one_two", "two", "one"]
    assert await subjects(api, "limit=1&offset=1") == ["two"]


async def test_by_actor_and_subject_exactly(api: ControlApi) -> None:
    await filled(api)
    bob = (await actors(api))["two"]
    assert await subjects(api, f"actor={quote(bob)}") == ["two"]
    assert await subjects(api, f"actor={quote(bob[:-1])}") == []
    assert await subjects(api, "subject=one") == ["one"]


async def test_by_the_beginning_of_the_action_in_which_no_letter_is_a_wildcard(api: ControlApi) -> None:
    await filled(api)
    at_clock(api, START + 3 * HOUR)
    await api.call("POST", "client-keys/one/disable")
    assert await subjects(api, "action=client_key.d") == ["one"]
    assert await subjects(api, "action=client_key.c") == ["one_two", "two", "one"]
    assert await subjects(api, "action=clien__key") == []
    assert await subjects(api, "action=created") == []
    assert (await api.call("GET", "audit?action=%25"))[0] == 422


async def test_since_is_within_and_until_is_not(api: ControlApi) -> None:
    await filled(api)
    assert await subjects(api, "since=2027-01-15T09:00:00Z") == ["one_two", "two"]
    assert await subjects(api, "until=2027-01-15T09:00:00Z") == ["one"]
    assert await subjects(api, "since=2027-01-15T10:00:00%2B01:00&until=2027-01-15T10:00:00Z") == ["two"]


@pytest.mark.parametrize("query", ["since=2027-01-15T09:00:00", "since=soon", "until=x", "actor=a%00", "subject=%0a"])
async def test_filters_that_cannot_be(api: ControlApi, query: str) -> None:
    assert (await api.call("GET", f"audit?{query}"))[0] == 422


async def test_times_at_the_ends_of_the_calendar(api: ControlApi) -> None:
    await filled(api)
    assert len(await subjects(api, "since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z")) == 3
