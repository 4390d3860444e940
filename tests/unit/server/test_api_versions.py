"""``ETag`` and ``If-Match`` of connections, over HTTP as programs see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.server.api.if_match import is_matched
from tests.kit.control_plane import API_KEY, control_api
from tests.kit.panel import Answer, Panel, panel_of

PATH = "/v1/connections/shop-lyon"


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    """On SQLite alone: versions are compared here, not by the database."""
    async with control_api(tmp_path / "data") as api, panel_of(api) as opened:
        await api.connection()
        opened.cookies["token"] = (await api.created("api-tokens", name="ci", role="admin"))["secret"]
        yield opened


async def ask(panel: Panel, method: str, path: str = PATH, body: str = "", **fields: str) -> Answer:
    sent = {"authorization": f"Bearer {panel.cookies['token']}", "content_type": "application/json"} | fields
    return await panel.ask(method, path, fields={"accept": "application/json"} | sent, body=body.encode())


async def test_every_answer_with_a_connection_has_its_version(panel: Panel) -> None:
    whole = f'{{"name": "Shop Lyon", "mode": "cloud", "store_url": "https://h.example/api/", "api_key": "{API_KEY}"}}'
    for method, path, body in (
        ("GET", PATH, ""),
        ("PATCH", PATH, f'{{"concurrency": 2, "api_key": "{API_KEY}"}}'),
        ("PUT", PATH, whole),
        ("POST", f"{PATH}/disable", ""),
        ("POST", f"{PATH}/enable", ""),
        ("POST", f"{PATH}/clone", f'{{"name": "Copy", "api_key": "{API_KEY}"}}'),
        ("POST", "/v1/connections", whole.replace("Shop Lyon", "Third")),
    ):
        answer = await ask(panel, method, path, body)
        assert answer.status in (200, 201), answer.text
        assert answer.fields["etag"] == f'"{answer.json["version"]}"', path


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_the_version_of_an_answer_is_good_for_the_next_change_and_a_stale_one_is_412(
    panel: Panel, method: str
) -> None:
    body = f'{{"name": "Shop Lyon", "mode": "cloud", "store_url": "https://h.example/api/", "api_key": "{API_KEY}"}}'
    first = (await ask(panel, "GET")).fields["etag"]
    second = await ask(panel, method, body=body, if_match=first)
    assert (second.status, second.fields["etag"] != first) == (200, True)
    before = (await ask(panel, "GET")).text
    for stale in (first, f"W/{second.fields['etag']}", '"nonsense"', "nonsense", ""):
        refused = await ask(panel, method, body=body, if_match=stale)
        assert (refused.status, refused.json["name"]) == (412, "edited_meanwhile"), stale
        assert refused.fields["content-type"] == "application/problem+json"
        assert "nonsense" not in refused.text
    assert (await ask(panel, "GET")).text == before
    for good in (f"{first}, {second.fields['etag']}", "*"):
        answer = await ask(panel, method, body=body, if_match=good)
        assert answer.status == 200
        second = answer
    assert (await ask(panel, method, "/v1/connections/none", body, if_match="*")).status == 404


@pytest.mark.parametrize(
    ("if_match", "matches"),
    [
        ('"1.5"', True),
        ("1.5", True),
        ('"a", "1.5"', True),
        ('"a","1.5"', True),
        ("*", True),
        ('W/"1.5"', False),
        ('"1.50"', False),
        ('"*"', False),
        ('"a, 1.5"', False),
        ("", False),
        (",", False),
    ],
)
def test_tags_are_compared_as_they_are(if_match: str, matches: bool) -> None:
    assert is_matched(if_match, "1.5") is matches
