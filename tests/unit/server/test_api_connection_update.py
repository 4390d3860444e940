"""Editing a connection: what changes and what stays, and a key that is entered again every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from agent.doctor.answer import DUMMY_KEY, ProbeAnswer
from agent.server.db.tables import CONNECTIONS
from agent.server.operations.connections import find_connection
from agent.server.routes import Route
from agent.store_url import Store
from tests.kit.control_plane import API_KEY, ControlApi, ScriptedExchange, control_api

NEW_KEY = "SECOND0API0KEY0SECOND0API0KEY012"
ALIVE = ProbeAnswer(401, ((b"X-Powered-By", b"PrestaShop Webservice"),), b"<code><![CDATA[20]]></code>")
NOT_THERE = ProbeAnswer(404, (), b"<html>")
OLD = Store("https", "shop.example.com", 443, "/", "", "")


async def row_of(api: ControlApi, reference: str = "shop-lyon") -> dict[str, Any]:
    """The whole record, sealed key and all."""
    async with api.plane.read() as connection:
        return dict(await find_connection(connection, reference))


async def edited(api: ControlApi, **changes: object) -> Route:
    """Edit the connection, and give the route that the gateway has when the answer is there."""
    status, shown = await api.call("PATCH", "connections/shop-lyon", {"api_key": NEW_KEY} | changes)
    assert status == 200, shown
    assert shown["slug"] == "shop-lyon"
    route = api.plane.live.route(shown["id"])
    assert route is not None
    return route


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"name": " Shop  Paris "}, "name", "Shop Paris"),
        ({"name": "Shop Lyon"}, "name", "Shop Lyon"),
        ({"key_in": "ws_key"}, "key_in", "ws_key"),
        ({"methods": ["head", "get"]}, "methods", ["GET", "HEAD"]),
        ({"resources": ["orders"]}, "resources", ["orders"]),
        ({"concurrency": 3}, "concurrency", 3),
        ({"shop_host": "Www.Shop.example:8443"}, "shop_host", "www.shop.example:8443"),
        ({"id_shop": "2"}, "id_shop", "2"),
        ({"virtual_uri": "/fr/"}, "virtual_uri", "fr/"),
        ({"store_url": "https://shop.example.com/shop/api/"}, "base_path", "/shop/"),
        ({"store_url": "http://shop.example.com:80/api/", "id_shop": "all"}, "id_shop", "all"),
        ({}, "name", "Shop Lyon"),
    ],
)
async def test_what_is_given_changes_and_all_else_stays(
    api: ControlApi, changes: dict[str, object], column: str, value: object
) -> None:
    await api.connection()
    before = await row_of(api)
    route = await edited(api, **changes)
    after = await row_of(api)
    assert after[column] == value
    related = {"scheme", "port", "base_path"} if "store_url" in changes else set()
    differing = {name for name in before if before[name] != after[name]}
    assert differing - related <= {column, "api_key", "updated_at"}
    assert {"api_key", "updated_at"} <= differing
    assert route.api_key == NEW_KEY


async def test_the_gateway_has_values_and_key_at_once(api: ControlApi) -> None:
    await api.connection(shop_host="www.shop.example", resources=["orders"])
    key = (await api.created("client-keys", connections=["shop-lyon"]))["key"]
    await edited(
        api,
        name="Shop Paris",
        store_url="https://other.example/shop/admin123abcdef/index.php?controller=AdminLogin&token=T",
        id_shop="2",
        key_in="ws_key",
        methods=["GET"],
        resources=None,
        concurrency=100,
        shop_host=None,
    )
    route, _ = api.admits("shop-lyon", key)
    store = Store("https", "other.example", 443, "/shop/", "", "2")
    assert (route.store, route.rule.store, route.api_key) == (store, store, NEW_KEY)
    assert (route.name, route.key_in, route.concurrency) == ("Shop Paris", "ws_key", 100)
    assert (route.rule.methods, route.rule.resources, route.shop_host) == (frozenset({"GET"}), None, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": None}, "api_key"),
        ({"api_key": "CANARY"}, "api_key"),
        ({"api_key": NEW_KEY, "agent": "warehouse"}, "agent"),
        ({"api_key": NEW_KEY, "mode": "on-premise"}, "agent"),
        ({"api_key": NEW_KEY, "name": "\u00a0"}, "name"),
        ({"api_key": NEW_KEY, "name": None}, "name"),
        ({"api_key": NEW_KEY, "store_url": ""}, "store_url"),
        ({"api_key": NEW_KEY, "store_url": "https://CANARY@h.example/"}, "store_url"),
        ({"api_key": NEW_KEY, "store_url": "https://h.example/shop/"}, "store_url"),
        ({"api_key": NEW_KEY, "virtual_uri": "a b"}, "store_url"),
        ({"api_key": NEW_KEY, "resources": []}, "resources"),
        ({"api_key": NEW_KEY, "methods": []}, "methods"),
        ({"api_key": NEW_KEY, "concurrency": 101}, "concurrency"),
        ({"api_key": NEW_KEY, "slug": "other"}, "slug"),
        ({"api_key": NEW_KEY, "enabled": False}, "enabled"),
    ],
)
async def test_what_cannot_be_is_refused_by_field_and_changes_nothing(
    api: ControlApi, body: dict[str, object], field: str
) -> None:
    made = await api.connection()
    await api.agent()
    before, trail = await row_of(api), await api.call("GET", "audit")
    status, problem = await api.call("PATCH", "connections/shop-lyon", {"name": "Shop Paris", **body})
    named = problem.get("field") or problem["errors"][0]["field"]
    assert (status, named.split(".")[0]) == (422, field)
    assert "CANARY" not in api.text
    assert (await row_of(api), await api.call("GET", "audit")) == (before, trail)
    route = api.plane.live.route(made["id"])
    assert route is not None
    assert (route.name, route.store, route.api_key) == ("Shop Lyon", OLD, API_KEY)


async def test_an_edit_without_the_key_says_that_it_is_needed(api: ControlApi) -> None:
    await api.connection()
    _, problem = await api.call("PATCH", "connections/shop-lyon", {"store_url": "https://h.example/api/"})
    assert problem["detail"] == "The API key is missing: enter it again, since every edit of a connection needs it."


async def test_an_unknown_connection_or_agent_is_not_found(api: ControlApi) -> None:
    status, problem = await api.call("PATCH", "connections/nothing", {"api_key": NEW_KEY})
    assert (status, problem["name"]) == (404, "not_found")
    await api.connection()
    body = {"api_key": NEW_KEY, "mode": "on-premise", "agent": "nobody"}
    status, problem = await api.call("PATCH", "connections/shop-lyon", body)
    assert (status, "No agent has this id or name" in problem["detail"]) == (404, True)
    assert "nobody" not in problem["detail"], "a key may have been typed there"


async def test_a_name_of_another_connection_is_a_conflict(api: ControlApi) -> None:
    await api.connection()
    await api.connection("Shop Paris")
    before = await row_of(api)
    body = {"api_key": NEW_KEY, "name": "Shop  Paris"}
    status, problem = await api.call("PATCH", "connections/shop-lyon", body)
    assert (status, problem["field"], "shop-paris" in problem["detail"]) == (409, "name", True)
    assert await row_of(api) == before


async def test_disabled_stays_disabled(api: ControlApi) -> None:
    await api.connection()
    await api.call("POST", "connections/shop-lyon/disable")
    assert not (await edited(api, store_url="https://h.example/api/")).enabled
    assert (await row_of(api))["enabled"] is False


async def test_a_key_that_could_not_be_read_is_mended(api: ControlApi) -> None:
    made = await api.connection()
    async with api.plane.change("test") as change:
        await change.connection.execute(update(CONNECTIONS).values(api_key=b"broken"))
    broken = api.plane.live.route(made["id"])
    assert broken is not None
    assert not broken.enabled
    route = await edited(api)
    assert (route.enabled, route.api_key) == (True, NEW_KEY)


async def test_each_mode_drops_what_only_the_other_has(api: ControlApi) -> None:
    agent_id = (await api.agent())["agent"]["id"]
    await api.connection(shop_host="www.shop.example")
    there = await edited(api, mode="on-premise", agent="warehouse")
    assert (there.mode, there.agent_id, there.shop_host, there.store) == ("on-premise", agent_id, None, OLD)
    renamed = await edited(api, name="Shop Paris")
    assert (renamed.agent_id, renamed.name) == (agent_id, "Shop Paris")
    second_id = (await api.agent("second"))["agent"]["id"]
    assert (await edited(api, agent="second")).agent_id == second_id
    back = await edited(api, mode="cloud")
    assert (back.mode, back.agent_id, (await row_of(api))["agent_id"]) == ("cloud", None, None)


async def test_a_revoked_agent_may_stay_but_not_be_chosen(api: ControlApi) -> None:
    for name in ("warehouse", "gone"):
        await api.agent(name)
    await api.connection(mode="on-premise", agent="warehouse")
    for name in ("warehouse", "gone"):
        await api.call("POST", f"agents/{name}/revoke")
    assert (await edited(api, concurrency=2)).concurrency == 2
    status, problem = await api.call("PATCH", "connections/shop-lyon", {"api_key": NEW_KEY, "agent": "gone"})
    assert (status, "is revoked" in problem["detail"]) == (422, True)


async def test_a_stock_ssh_agent_serves_its_own_store_only(api: ControlApi) -> None:
    await api.agent(plain_store_url="http://10.0.0.5/api/")
    await api.connection(mode="on-premise", agent="warehouse", store_url="http://10.0.0.5/api/")
    for change in ({"store_url": "http://10.0.0.6/api/"}, {"id_shop": "2"}):
        status, problem = await api.call("PATCH", "connections/shop-lyon", {"api_key": NEW_KEY} | change)
        assert (status, "stock ssh tunnel" in problem["detail"]) == (422, True)


async def test_the_shop_of_a_multistore_stays_unless_another_is_named(api: ControlApi) -> None:
    await api.connection(store_url="https://h.example/admin1/fr/api/", virtual_uri="fr", id_shop="2")
    moved = (await edited(api, store_url="https://new.example/fr/api/")).store
    assert moved == Store("https", "new.example", 443, "/", "fr/", "2")
    assert (await edited(api, store_url="https://new.example/api/?id_shop=4")).store.id_shop == "4"
    assert (await edited(api, id_shop="", virtual_uri="")).store == Store("https", "new.example", 443, "/", "", "")


async def test_the_probe_of_a_changed_address_uses_no_key_at_all(tmp_path: Path) -> None:
    exchange = ScriptedExchange({"https://h.example/shop/api/": NOT_THERE, "https://h.example/api/": ALIVE})
    async with control_api(tmp_path, exchange=exchange) as api:
        await api.connection()
        assert (await edited(api, store_url="https://h.example/shop/")).store.webservice_url == "https://h.example/api/"
        asked = len(exchange.asked)
        await edited(api, name="Shop Paris", id_shop="2")
    assert {route.api_key for route, _ in exchange.asked} == {DUMMY_KEY}
    assert len(exchange.asked) == asked == 2


async def test_an_edit_never_overwrites_another_one_unseen(tmp_path: Path) -> None:
    """While an address is probed, somebody else moves the connection: the key was not entered for their store."""

    async def probe(_route: Route, _rest: bytes) -> ProbeAnswer:
        body = {"api_key": API_KEY, "store_url": "https://theirs.example/api/"}
        assert (await api.call("PATCH", "connections/shop-lyon", body))[0] == 200
        return ALIVE

    async with control_api(tmp_path, exchange=probe) as api:
        await api.connection()
        body = {"api_key": NEW_KEY, "store_url": "https://h.example/shop/"}
        status, problem = await api.call("PATCH", "connections/shop-lyon", body)
        assert (status, "try again" in problem["detail"]) == (409, True)
        version = (await api.call("GET", "connections/shop-lyon"))[1]["version"]
        status, _ = await api.call("PATCH", "connections/shop-lyon", body, fields={"if-match": f'"{version}"'})
        assert status == 412, "it was the right version when the change began"
        route = await edited(api, api_key=API_KEY)
    assert (route.store.host, route.api_key) == ("theirs.example", API_KEY)


async def test_answer_and_audit_hold_no_key(api: ControlApi) -> None:
    await api.connection()
    await edited(api, store_url="https://h.example/admin123abcdef/index.php?token=SECRETTOKEN", concurrency=2)
    shown = api.text
    _, trail = await api.call("GET", "audit")
    shown += api.text
    assert all(secret not in shown for secret in (API_KEY, NEW_KEY, "SECRETTOKEN"))
    assert (trail[0]["action"], trail[0]["subject"], trail[0]["actor"]) == (
        "connection.updated",
        "shop-lyon",
        "local:tester",
    )
    assert (trail[0]["detail"]["changed"], trail[0]["detail"]["store"]) == (
        ["concurrency", "host"],
        "https://h.example/",
    )
