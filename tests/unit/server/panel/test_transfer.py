"""Export and import in the panel: no secret leaves, nothing is made before it was shown, errors name line or record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from agent.server.panel.import_file import FILE_MAX_BYTES, ImportFileError, pack, read_import, unpack
from tests.kit.control_plane import API_KEY, SSH_ADDRESS, ControlApi
from tests.kit.panel import Answer, Panel

SHOP = {"name": "Shop Lyon", "slug": "shop-lyon", "mode": "on-premise", "agent": "warehouse"}
SHOPS: dict[str, Any] = {
    "format": "integration-server/1",
    "agents": [{"name": "warehouse"}, {"name": "known"}, {"name": "bell \u0007"}],
    "connections": [
        SHOP | {"store_url": "https://shop.example.com/api/"},
        SHOP | {"store_url": "https://shop.example.com/api/"},
        {"name": "Caf\u00e9", "mode": "cloud", "store_url": "https://cafe.example.com/api/", "verify_tls": False},
        {"name": "Lost", "mode": "on-premise", "agent": "nobody", "store_url": "https://lost.example.com/api/"},
    ],
}


async def upload(panel: Panel, content: bytes, who: str = "admin", token: str | None = None) -> Answer:
    """The file, as a browser sends it."""
    token = panel.csrf[who] if token is None else token
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="x.json"\r\n\r\n'
    )
    fields = {"content_type": "multipart/form-data; boundary=b", "sec_fetch_site": "same-origin"}
    return await panel.ask("POST", "/transfer/preview", who, fields, parts.encode() + content + b"\r\n--b--\r\n")


def packed_in(page: str) -> str:
    found = re.search(r'name="document" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_the_export_is_a_file_without_secrets(panel: Panel, api: ControlApi) -> None:
    made = await api.agent()
    await api.connection("Caf\u00e9")
    answer = await panel.get("/transfer/export", "viewer")
    assert re.fullmatch(
        r'attachment; filename="integration-server-\d{4}-\d\d-\d\d\.json"', answer.fields["content-disposition"]
    )
    assert answer.json == json.loads(json.dumps((await api.call("GET", "export"))[1]))
    assert "Caf\u00e9" in answer.text
    assert API_KEY not in answer.text
    assert made["access_token"] not in answer.text
    assert read_import(answer.text.encode()).connections[0].name == "Caf\u00e9"


async def test_what_an_import_would_do_is_shown_then_done(panel: Panel, api: ControlApi) -> None:
    await api.agent("known")
    preview = await upload(panel, json.dumps(SHOPS).encode())
    assert preview.status == 200
    assert "3 records are made, 1 stays as it is, 3 left out" in re.sub(r"\s+", " ", preview.text)
    for sentence in (
        "An agent of this name exists",
        "control characters",
        "A connection before has the same name",
        "The certificate of its shop is not checked",
        "No agent has this id or name",
    ):
        assert sentence in preview.text
    assert [agent["name"] for agent in (await api.call("GET", "agents"))[1]] == ["known"]
    assert (await api.call("GET", "connections"))[1] == []

    done = await panel.post("/transfer/import", {"document": packed_in(preview.text)}, "admin")
    page = await panel.get(done.fields["location"], "admin")
    assert (done.status, page.status) == (303, 200)
    assert len(re.findall(r">psa1_[A-Za-z0-9_-]+<", page.text)) == 1
    for part in ("/connections/cafe/edit", "/connections/shop-lyon/edit", "needs its key", "bell"):
        assert part in page.text
    assert [each["slug"] for each in (await api.call("GET", "connections"))[1]] == ["cafe", "shop-lyon"]
    again = await upload(panel, json.dumps(SHOPS).encode())
    assert "There is nothing to import" in again.text
    assert "0 records are made, 5 stay as they are, 2 left out" in re.sub(r"\s+", " ", again.text)
    await api.call("DELETE", "connections/cafe")
    assert "Its address" not in again.text
    slug = json.dumps(SHOPS | {"agents": [], "connections": [SHOPS["connections"][2] | {"slug": "cafe"}]})
    assert "/cafe-2" in (await upload(panel, slug.encode())).text


async def test_the_address_for_agents_is_asked_for_where_it_is_not_known(panel: Panel, api: ControlApi) -> None:
    preview = await upload(panel, json.dumps(SHOPS).encode())
    assert 'name="public_ssh_address"' in preview.text
    form = {"document": packed_in(preview.text)}
    asked = await panel.post("/transfer/import", form, "admin")
    assert (asked.status, 'id="public_ssh_address-error"' in asked.text) == (422, True)
    assert (await panel.post("/transfer/import", form | {"public_ssh_address": SSH_ADDRESS}, "admin")).status == 303
    assert [agent["name"] for agent in (await api.call("GET", "agents"))[1]] == ["known", "warehouse"]


async def test_who_may_not_mint_may_not_import(panel: Panel, api: ControlApi) -> None:
    document = json.dumps(SHOPS).encode()
    for who in ("viewer", "editor"):
        page = await panel.get("/transfer", who)
        assert (page.status, '<form method="post" action="/transfer' in page.text) == (200, False)
        assert (await upload(panel, document, who)).status == 403
        assert (await panel.post("/transfer/import", {"document": pack(document)}, who)).status == 403
    assert (await upload(panel, document, "admin", token="wrong")).status == 403
    form = {"document": pack(document), "csrf_token": "wrong"}
    assert (await panel.post("/transfer/import", form, "admin")).status == 403
    assert (await api.call("GET", "agents"))[1] == []


async def test_a_file_that_cannot_be_is_refused_on_the_page(panel: Panel, api: ControlApi) -> None:
    for content, sentence in ((b'{\n"format":', "Line 2, column"), (b"", "is missing or empty")):
        answer = await upload(panel, content)
        assert (answer.status, sentence in answer.text) == (422, True)
    altered = await panel.post("/transfer/import", {"document": "CANARY"}, "admin")
    assert (altered.status, "choose the file again" in altered.text) == (422, True)
    form = {"csrf_token": panel.csrf["admin"], "file": "no file"}
    assert (await panel.post("/transfer/preview", form, "admin")).status == 422


def wrong_files() -> Iterator[tuple[bytes, str]]:
    yield b"\xff\xfe", "Line 1 is not UTF-8"
    yield b'{\n"a": "\xff"}', "Line 2 is not UTF-8"
    yield b'{\n\n  "a": CANARY}', "Line 3, column 8: this is not JSON"
    yield b"[" * 100_000, "no export of an integration server"
    yield b"1" * 5000, "no export of an integration server"
    yield b"[]", "no export of an integration server"
    yield b'{"format": "other/1"}', "no export of an integration server"
    yield b" " * (FILE_MAX_BYTES + 1), "missing or empty"
    yield b"{" * (FILE_MAX_BYTES + 1), "larger than 1024 KiB"
    shop = {"name": "Shop Lyon", "mode": "cloud", "store_url": "CANARY", "concurrency": "CANARY"}
    for changes, sentence in (
        ({"connections": [SHOPS["connections"][0], shop]}, 'Connection 2 "Shop Lyon", concurrency: '),
        ({"connections": [{"name": "x\u0007"}]}, "Connection 1, mode: Field required"),
        ({"connections": [shop | {"concurrency": 1, "api_key": "CANARY"}]}, "api_key: Extra inputs"),
        ({"agents": [7]}, "Agent 1: "),
        ({"agents": 7}, "agents: "),
        ({"agents": [{}] * 30}, "And 10 more."),
    ):
        yield json.dumps({"format": "integration-server/1"} | changes).encode(), sentence


@pytest.mark.parametrize(("content", "sentence"), [pytest.param(*each, id=each[1]) for each in wrong_files()])
def test_what_is_wrong_is_named_by_line_or_record_and_no_value_is(content: bytes, sentence: str) -> None:
    with pytest.raises(ImportFileError) as caught:
        read_import(content)
    assert sentence in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_a_packed_file_comes_back_and_a_bomb_does_not() -> None:
    content = json.dumps(SHOPS).encode()
    assert unpack(pack(content)) == content
    bomb = pack(b" " * (100 * FILE_MAX_BYTES))
    assert len(unpack(bomb)) == FILE_MAX_BYTES + 1
    assert read_import(b"\xef\xbb\xbf" + content).agents[0].name == "warehouse"


async def test_new_client_keys_are_shown_once(panel: Panel, api: ControlApi) -> None:
    await api.connection("Lyon")
    await api.created("client-keys", name="there", all_connections=True)
    wish = {"methods": None}
    keys = [wish | {"name": "erp", "connections": ["Lyon"]}, wish | {"name": "there", "connections": None}]
    keys.append(wish | {"name": "far", "connections": ["Nowhere"]})
    page = (await upload(panel, json.dumps({"format": "integration-server/1", "client_keys": keys}).encode())).text
    for sentence in ("1 record is made, 1 stays as it is, 1 left out", "A client key of this name exists.", "Nowhere"):
        assert sentence in page
    answer = await panel.post("/transfer/import", {"document": packed_in(page)}, "admin")
    done = (await panel.get(answer.fields["location"], "admin")).text
    secrets = [found for found in re.findall(r">([A-Za-z0-9_-]{30,})<", done) if api.admits("lyon", found)]
    assert len(secrets) == 1
    assert "Made: 0 agents, 0 connections, 1 client key." in done
    assert {each["name"] for each in (await api.call("GET", "client-keys"))[1]} == {"there", "erp"}
