"""Lists: searched whatever the case and the letters, cut into pages that miss nothing, on either database."""

from __future__ import annotations

import pytest

from agent.server.operations.failures import InvalidError
from agent.server.operations.paging import Paging
from tests.kit.control_plane import ControlApi


async def names(api: ControlApi, q: str) -> list[str]:
    _, found = await api.call("GET", f"agents?q={q}")
    return [each["name"] for each in found]


@pytest.mark.parametrize("q", ["%C3%89cole", "%C3%A9cole", "%C3%89COLE"], ids=["as it is", "lower", "upper"])
async def test_letters_beyond_ascii_are_found_whatever_their_case(api: ControlApi, q: str) -> None:
    await api.agent("École")
    await api.agent("other")
    assert await names(api, q) == ["École"]


async def test_wildcards_and_the_escape_character_are_letters(api: ControlApi) -> None:
    for name in ("a/b", "a\\b", "a%b", "a_b", "aXb"):
        await api.agent(name)
    assert await names(api, "a/b") == ["a/b"]
    assert await names(api, "a%5Cb") == ["a\\b"]
    assert await names(api, "a%25b") == ["a%b"]
    assert await names(api, "a_b") == ["a_b"]
    assert await names(api, "a'b") == []


async def test_pages_hold_each_item_once(api: ControlApi) -> None:
    for number in range(7):
        await api.agent(f"agent {number}")
    seen: list[str] = []
    for offset in range(0, 9, 3):
        _, found = await api.call("GET", f"agents?limit=3&offset={offset}")
        assert '"total":7' in api.text
        seen += [each["name"] for each in found]
    assert seen == [f"agent {number}" for number in range(7)]


@pytest.mark.parametrize("path", ["agents", "client-keys", "audit", "connections"])
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", f"limit={10**30}", "offset=-1", f"offset={10**30}", "limit=x", "q=a%00b", "q=%1b"],
)
async def test_what_no_list_takes(api: ControlApi, path: str, query: str) -> None:
    status, problem = await api.call("GET", f"{path}?{query}")
    assert (status, problem["name"]) == (422, "invalid")


def test_a_search_text_with_control_characters_is_refused_without_the_api_too() -> None:
    with pytest.raises(InvalidError, match="control characters"):
        Paging(search="a\x00b")
