"""The control API on connections: their routes, keys and names, and the store that is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text, update

from agent.doctor.answer import DUMMY_KEY, ProbeAnswer
from agent.forward.pool import PoolLimits
from agent.server.channel_limits import ChannelLimits
from agent.server.db.tables import CONNECTIONS
from agent.server.operations.connection_wish import CONCURRENCY_MAX
from agent.server.operations.connections import find_connection
from agent.settings import StoreSettings
from agent.store_url import Store
from tests.kit.control_plane import API_KEY, ControlApi, ScriptedExchange, control_api

LISTING = b'<api shopName="x"><products href="" get="true"><description get="true"/></products></api>'
ALIVE = ProbeAnswer(401, ((b"X-Powered-By", b"PrestaShop Webservice"),), b"<code><![CDATA[20]]></code>")
NOT_THERE = ProbeAnswer(404, (), b"<html>")


async def test_a_connection_becomes_a_route_with_its_key(api: ControlApi) -> None:
    agent_id = (await api.agent())["agent"]["id"]
    made = await api.connection(
        mode="on-premise",
        agent="warehouse",
        store_url="https://h.example/shop/admin123abcdef/index.php?controller=AdminLogin&token=SECRETTOKEN",
        key_in="ws_key",
        methods=["get", "PUT"],
        resources=["products", "orders"],
        concurrency=3,
        id_shop="2",
    )
    assert (made["slug"], made["gateway_url"]) == ("shop-lyon", "http://127.0.0.1:8080/shop-lyon")
    assert (made["webservice_url"], made["agent_name"]) == ("https://h.example/shop/api/", "warehouse")
    route = api.plane.live.route(made["id"])
    assert route is not None
    assert route.store == Store("https", "h.example", 443, "/shop/", "", "2")
    assert (route.api_key, route.key_in, route.agent_id, route.mode) == (API_KEY, "ws_key", agent_id, "on-premise")
    assert (route.rule.methods, route.rule.resources) == (
        frozenset({"GET", "PUT"}),
        frozenset({"products", "orders"}),
    )
    assert (route.concurrency, route.shop_host, route.enabled) == (3, None, True)
    elsewhere = await api.connection("Elsewhere", shop_host="Shop.Example:8443")
    route = api.plane.live.route(elsewhere["id"])
    assert (route is not None and route.shop_host) == "shop.example:8443"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_neither_key_nor_token_of_the_url_is_anywhere_but_in_memory(api: ControlApi, tmp_path: Path) -> None:
    url = "https://h.example/admin123abcdef/index.php?controller=AdminLogin&token=SECRETTOKEN"
    await api.connection(store_url=url)
    shown = api.text
    for path in ("connections", "connections/shop-lyon", "audit", "status"):
        assert (await api.call("GET", path))[0] == 200
        shown += api.text
    async with api.plane.engine.connect() as connection:
        await connection.execute(text("PRAGMA wal_checkpoint(PASSIVE)"))
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert b"shop-lyon" in stored  # the files are those that hold the record
    for secret in (API_KEY, "SECRETTOKEN"):
        assert secret not in shown
        assert secret.encode() not in stored
    assert API_KEY not in repr(api.plane.live.routing) + repr(api.plane.live.route)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"api_key": "SHORTCANARY"}, "api_key"),
        ({"api_key": "CANARY CANARY CANARY CANARY CANA"}, "api_key"),
        ({"api_key": "CANARY:CANARY:CANARY:CANARY:CANA"}, "api_key"),
        ({"mode": "on-premise"}, "agent"),
        ({"agent": "warehouse"}, "agent"),
        ({"store_url": "https://h.example/shop/?t=CANARY"}, "store_url"),
        ({"store_url": "https://CANARY@h.example/"}, "store_url"),
        ({"shop_host": "http://h.example/"}, "shop_host"),
        ({"shop_host": "h.example:0"}, "shop_host"),
        ({"mode": "on-premise", "agent": "warehouse", "shop_host": "h.example"}, "shop_host"),
        ({"name": " \u00a0 "}, "name"),
        ({"name": "a\u202eb"}, "name"),
    ],
)
async def test_what_cannot_be_is_refused_by_field_and_changes_nothing(
    api: ControlApi, change: dict[str, object], field: str
) -> None:
    await api.agent()
    body = {"name": "x", "mode": "cloud", "store_url": "https://h.example/api/", "api_key": API_KEY} | change
    status, problem = await api.call("POST", "connections", body)
    assert (status, problem["field"]) == (422, field)
    assert "CANARY" not in api.text
    assert problem["detail"].endswith((".", "/api/"))
    assert await api.call("GET", "connections") == (200, [])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"methods": ["GET", "CANARY"]}, "methods (value 2 of it) must be 'GET', 'HEAD', "),
        ({"resources": ["CANARY"]}, "resources (value 1 of it) must be a resource of the webservice, such as products"),
        ({"concurrency": "CANARY"}, "concurrency must be a whole number"),
        ({"concurrency": 101}, "concurrency must be less than or equal to 100"),
        ({"id_shop": "CANARY"}, 'id_shop must be the number of a shop, or "all"'),
        ({"name": None}, "name must be text"),
        ({"name": ""}, "name must have at least 1 character"),
    ],
)
async def test_values_of_the_wrong_kind_are_refused_in_words(
    api: ControlApi, change: dict[str, object], sentence: str
) -> None:
    body = {"name": "x", "mode": "cloud", "store_url": "https://h.example/api/", "api_key": API_KEY} | change
    status, problem = await api.call("POST", "connections", body)
    assert (status, problem["detail"].startswith(sentence)) == (422, True), problem
    assert "CANARY" not in api.text


async def test_an_unknown_or_revoked_agent_is_refused(api: ControlApi) -> None:
    await api.agent()
    await api.call("POST", "agents/warehouse/revoke")
    body = {"name": "x", "mode": "on-premise", "store_url": "https://h.example/api/", "api_key": API_KEY}
    status, problem = await api.call("POST", "connections", body | {"agent": "warehouse"})
    assert (status, "is revoked" in problem["detail"]) == (422, True)
    status, problem = await api.call("POST", "connections", body | {"agent": "nobody"})
    assert (status, problem["name"]) == (404, "not_found")


async def test_a_stock_ssh_agent_serves_its_own_store_only(api: ControlApi) -> None:
    await api.agent(plain_store_url="http://10.0.0.5/api/")
    status, problem = await api.call(
        "POST",
        "connections",
        {
            "name": "x",
            "mode": "on-premise",
            "agent": "warehouse",
            "store_url": "http://10.0.0.6/api/",
            "api_key": API_KEY,
        },
    )
    assert (status, "stock ssh tunnel to http://10.0.0.5/" in problem["detail"]) == (422, True)
    await api.connection(mode="on-premise", agent="warehouse", store_url="http://10.0.0.5/api/")


async def test_a_slug_is_never_given_again(api: ControlApi) -> None:
    first = await api.connection("Shop Lyon")
    second = await api.connection("Shop, Lyon!")
    assert (first["slug"], second["slug"]) == ("shop-lyon", "shop-lyon-2")
    for slug in ("shop-lyon", "shop-lyon-2"):
        assert await api.call("DELETE", f"connections/{slug}") == (200, {"slug": slug})
    assert (await api.connection("Shop Lyon"))["slug"] == "shop-lyon-3"
    assert (await api.call("GET", "connections/shop-lyon"))[0] == 404


async def test_a_name_is_given_once(api: ControlApi) -> None:
    await api.connection("Shop Lyon")
    body = {"name": "Shop  Lyon", "mode": "cloud", "store_url": "https://h.example/api/", "api_key": API_KEY}
    status, problem = await api.call("POST", "connections", body)
    assert (status, problem["name"], "shop-lyon" in problem["detail"]) == (409, "conflict", True)


async def test_switching_off_needs_no_key_and_reaches_the_gateway(api: ControlApi) -> None:
    made = await api.connection()
    for action, enabled in (("disable", False), ("disable", False), ("enable", True)):
        status, shown = await api.call("POST", f"connections/shop-lyon/{action}")
        route = api.plane.live.route(made["id"])
        assert route is not None
        assert (status, shown["enabled"], route.enabled, route.api_key) == (200, enabled, enabled, API_KEY)
    _, trail = await api.call("GET", "audit")
    assert [entry["action"] for entry in trail][:2] == ["connection.enabled", "connection.disabled"]


async def test_an_envelope_copied_to_another_row_disables_that_connection_only(api: ControlApi) -> None:
    first, second = await api.connection("one"), await api.connection("two")
    async with api.plane.engine.begin() as connection:
        stolen = (await find_connection(connection, "one"))["api_key"]
        await connection.execute(update(CONNECTIONS).where(CONNECTIONS.c.id == second["id"]).values(api_key=stolen))
    await api.plane.live.refresh(api.plane.engine, api.plane.vault)
    good, bad = api.plane.live.route(first["id"]), api.plane.live.route(second["id"])
    assert good is not None
    assert bad is not None
    assert (good.enabled, good.api_key) == (True, API_KEY)
    assert (bad.enabled, bad.api_key) == (False, "")


# -- store URL and connection test -----------------------------------------------------------------------------------


async def test_the_probe_decides_between_candidates_with_a_key_that_is_none(tmp_path: Path) -> None:
    exchange = ScriptedExchange({"https://h.example/shop/api/": NOT_THERE, "https://h.example/api/": ALIVE})
    async with control_api(tmp_path, exchange=exchange) as api:
        made = await api.connection(store_url="https://h.example/shop/")
        assert made["webservice_url"] == "https://h.example/api/"
    assert {route.api_key for route, _ in exchange.asked} == {DUMMY_KEY}
    assert {rest for _, rest in exchange.asked} == {b"/api/"}


async def test_a_certain_address_is_not_probed(tmp_path: Path) -> None:
    exchange = ScriptedExchange()
    async with control_api(tmp_path, exchange=exchange) as api:
        await api.connection(store_url="https://h.example/shop/api/")
    assert exchange.asked == []


async def test_a_connection_is_tested_with_its_own_key(tmp_path: Path) -> None:
    answer = ProbeAnswer(200, ((b"PSWS-Version", b"8.2.4"),), LISTING, elapsed_s=0.0234)
    exchange = ScriptedExchange({"https://shop.example.com/api/": answer})
    async with control_api(tmp_path, exchange=exchange) as api:
        await api.connection()
        status, outcome = await api.call("POST", "connections/shop-lyon/test")
    assert [(route.api_key, rest) for route, rest in exchange.asked] == [(API_KEY, b"/api/")]
    assert (status, outcome["ok"], outcome["verdict"]) == (200, True, "ok")
    assert (outcome["prestashop_version"], outcome["resource_count"]) == ("8.2.4", 1)
    assert [step["state"] for step in outcome["steps"]] == ["skipped", "ok", *["skipped"] * 3, *["ok"] * 4]


async def test_without_a_running_server_nothing_can_be_tested(api: ControlApi) -> None:
    await api.connection()
    status, problem = await api.call("POST", "connections/shop-lyon/test")
    assert (status, "integration-server serve" in problem["detail"]) == (409, True)


def test_one_tunnel_and_an_agent_without_settings_carry_what_a_connection_may_have_at_once() -> None:
    of_the_agent = StoreSettings.model_fields["max_connections"].default
    assert CONCURRENCY_MAX <= of_the_agent == PoolLimits().connections_max
    assert ChannelLimits().channels_max >= CONCURRENCY_MAX
