"""Export and import: everything but secrets travels, and nothing works before its key is entered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.server.operations.principal import ForbiddenError, Permission, Principal, Role
from agent.server.operations.transfer import export_all, import_all
from agent.server.operations.transfer_keys import KeyWish
from agent.server.operations.transfer_preview import plan_import
from tests.kit.control_plane import API_KEY, SSH_ADDRESS, ControlApi, control_api
from tests.kit.server_cli import ServerCli


async def filled(api: ControlApi) -> tuple[str, dict[str, object]]:
    """Two agents, two connections, a key; the token, and the export."""
    made = await api.agent(description="rack 4", max_instances=2)
    await api.agent("gone")
    await api.call("POST", "agents/gone/revoke")
    await api.connection("Shop Lyon", mode="on-premise", agent="warehouse", headers=[{"name": "X-A", "value": "1"}])
    await api.connection("Shop Paris", verify_tls=False, concurrency=3, resources=["orders"])
    await api.created("client-keys", all_connections=True)
    _, document = await api.call("GET", "export")
    return made["access_token"], document


async def test_no_secret_is_in_an_export(api: ControlApi) -> None:
    token, document = await filled(api)
    text = json.dumps(document)
    assert API_KEY not in text
    assert token not in text
    assert token[60:90] not in text
    assert [agent["name"] for agent in document["agents"]] == ["warehouse"]  # type: ignore[attr-defined]


async def test_what_is_imported_is_as_it_was_but_off_and_without_key(api: ControlApi, tmp_path: Path) -> None:
    token, document = await filled(api)
    _, before = await api.call("GET", "connections")
    async with control_api(tmp_path / "other") as other:
        assert (await other.call("POST", "import", document))[0] == 409  # its own address for agents is not known
        await other.agent("first")
        status, made = await other.call("POST", "import", document)
        assert (status, made["connections"], made["skipped"]) == (200, ["shop-lyon", "shop-paris"], [])
        _, audit = await other.call("GET", "audit")
        unverified = [each["subject"] for each in audit if each["action"] == "connection.verification_off"]
        assert unverified == ["shop-paris"]
        (new,) = made["agents"]
        assert new["access_token"] != token
        _, after = await other.call("GET", "connections")
        differ = {
            "id",
            "agent_id",
            "created_at",
            "updated_at",
            "version",
            "enabled",
            "needs_key",
            "client_keys",
            "warnings",
        }
        for one, two in zip(before, after, strict=True):
            assert {name for name in one if one[name] != two[name]} <= differ
            assert (two["enabled"], two["needs_key"]) == (False, True)
        status, problem = await other.call("POST", "connections/shop-lyon/enable")
        assert (status, "enter the key" in problem["detail"]) == (409, True)
        assert (await other.call("POST", "connections/shop-lyon/test"))[0] == 409
        status, edited = await other.call("PATCH", "connections/shop-lyon", {"api_key": API_KEY})
        assert (status, edited["needs_key"]) == (200, False)
        assert (await other.call("POST", "connections/shop-lyon/enable"))[0] == 200


async def test_importing_again_leaves_everything_as_it_is(api: ControlApi) -> None:
    _, document = await filled(api)
    before = await api.call("GET", "export")
    status, made = await api.call("POST", "import", document)
    assert (status, made["agents"], made["connections"], len(made["skipped"])) == (200, [], [], 4)
    assert await api.call("GET", "export") == before


async def test_a_slug_of_a_deleted_connection_is_not_used_again(api: ControlApi) -> None:
    _, document = await filled(api)
    await api.call("DELETE", "connections/shop-paris")
    _, made = await api.call("POST", "import", document)
    assert made["connections"] == ["shop-paris-2"]


async def test_a_document_that_cannot_be_is_refused_whole(api: ControlApi) -> None:
    documents: list[object] = [{"format": "other/1"}, {"connections": [{"name": "x"}]}, {"secrets": []}, []]
    for document in documents:
        assert (await api.call("POST", "import", document))[0] == 422
    assert await api.call("GET", "connections") == (200, [])


def test_by_command(cli: ServerCli, tmp_path: Path) -> None:
    assert cli("agents", "create", "warehouse", "--public-ssh-address", SSH_ADDRESS).code == 0
    file = tmp_path / "shops.json"
    assert "1 agents, 0 connections and 0 client keys" in cli("export", str(file)).out
    cli("agents", "delete", "warehouse", "--yes")
    assert "psa1_" in cli("import", str(file)).out
    assert "Left out: agent warehouse" in cli("import", str(file)).out
    file.write_text("[]")
    assert "is not an export" in cli.refused(1, "import", str(file))


async def test_one_agent_that_cannot_be_does_not_cost_the_others_their_tokens(api: ControlApi) -> None:
    await api.agent("known")
    agents = [{"name": "good"}, {"name": "bell \u0007"}, {"name": "tls", "plain_store_url": "https://x.example.com/"}]
    status, made = await api.call("POST", "import", {"agents": [*agents, {"name": "last"}]})
    assert (status, [new["agent"]["name"] for new in made["agents"]]) == (200, ["good", "last"])
    assert len(made["skipped"]) == 2
    assert "control characters" in made["skipped"][0]


async def test_client_keys_travel_without_the_key_and_open_the_same(api: ControlApi, tmp_path: Path) -> None:
    for name in ("Shop Lyon", "Shop Paris", "Gone"):
        await api.connection(name)
    old = await api.created("client-keys", name="erp", connections=["shop-lyon", "shop-paris"], methods=["GET"])
    end = "2099-01-01T00:00:00Z"
    await api.created("client-keys", name="all", all_connections=True, expires_at=end)
    for name in ("off", "revoked"):
        await api.created("client-keys", name=name, connections=["shop-lyon"])
    await api.call("POST", "client-keys/off/disable")
    await api.call("POST", "client-keys/revoked/revoke")
    await api.created("client-keys", name="lost", connections=["gone"])
    await api.call("DELETE", "connections/gone")
    _, document = await api.call("GET", "export")
    assert old["key"] not in api.text
    assert [key["name"] for key in document["client_keys"]] == ["erp", "all", "off", "lost"]
    async with control_api(tmp_path / "other") as other:
        await other.connection("Shop Paris", store_url="https://elsewhere.example.com/api/")
        status, made = await other.call("POST", "import", document)
        assert status == 200
        assert [each for each in made["skipped"] if "client key" in each] == [
            "client key lost: It opens no connection: those that it opened were deleted."
        ]
        keys = {new["client_key"]["name"]: new for new in made["client_keys"]}
        erp, everything, off = (keys[name]["client_key"] for name in ("erp", "all", "off"))
        assert (sorted(erp["connections"]), erp["methods"]) == (["shop-lyon", "shop-paris"], ["GET"])
        assert (everything["connections"], everything["expires_at"]) == (None, end)
        assert (off["state"], off["connections"]) == ("disabled", ["shop-lyon"])
        assert other.admits("shop-paris", keys["erp"]["key"]) is not None
        assert other.admits("shop-paris", old["key"]) is None
        assert other.admits("shop-paris", keys["off"]["key"]) is None


async def test_keys_that_cannot_be_are_left_out_and_named(api: ControlApi) -> None:
    await api.connection("Lyon")
    key = {"name": "erp", "connections": ["Lyon"], "methods": None}
    wrong = [
        key,
        key,
        key | {"name": "far", "connections": ["Nowhere"]},
        key | {"name": "late", "expires_at": "2001-01-01T00:00:00Z"},
    ]
    status, made = await api.call("POST", "import", {"client_keys": wrong})
    assert (status, [new["client_key"]["name"] for new in made["client_keys"]]) == (200, ["erp"])
    assert made["skipped"] == [
        "client key erp: A client key of this name exists.",
        'client key far: It opens the connection "Nowhere", which is not there: import that, too.',
        "client key late: It has expired.",
    ]
    assert (await api.call("POST", "import", {"client_keys": [{"name": "x", "methods": None}]}))[0] == 422


async def test_who_may_not_read_or_mint_client_keys_neither_exports_nor_imports_them(api: ControlApi) -> None:
    await api.created("client-keys", name="erp", all_connections=True)
    reader = Principal("token:r", Role.ADMIN, scopes=frozenset({Permission.CONNECTIONS_READ.scope}))
    assert (await export_all(api.plane, reader))["client_keys"] == []
    agents_alone = frozenset({Permission.AGENTS_MINT.scope, Permission.CONNECTIONS_WRITE.scope})
    minter = Principal("token:m", Role.ADMIN, scopes=agents_alone)
    wish = KeyWish("new", None, None, None, enabled=True)
    with pytest.raises(ForbiddenError):
        await import_all(api.plane, minter, [], [], [wish])
    with pytest.raises(ForbiddenError):
        await plan_import(api.plane, minter, [], [], [wish])
