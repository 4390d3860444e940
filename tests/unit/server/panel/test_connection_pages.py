"""What pages and preview of a connection say of its agent, and the history of its tests."""

from __future__ import annotations

import re

from sqlalchemy import update

from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.policy import METHODS, Rule
from agent.server.db.tables import AGENTS
from agent.server.operations.checks import ConnectionTest
from agent.server.operations.presence import GRANTS_KEPT_MAX
from agent.server.operations.test_history import record_test
from agent.server.registry import Registry
from agent.server.tunnel import Tunnel
from agent.store_url import make_store
from agent.tunnel.messages import Grant
from tests.kit.control_plane import ControlApi
from tests.kit.no_link import NoLink
from tests.kit.panel import Panel

STORE = make_store("https", "shop.example.com", 443, "/", "", "")
FORM = {
    "name": "Shop",
    "mode": "on-premise",
    "agent": "warehouse",
    "store_url": "https://shop.example.com/api/",
    "methods": list(METHODS),
}


def tunnel(agent_id: str, *rules: Rule) -> Tunnel:
    return Tunnel(agent_id, "warehouse", "i", 0, False, b"n", rules, "peer", "1", "host", 1.0, NoLink())


async def warnings_of(panel: Panel, **changes: object) -> str:
    """What the preview warns of."""
    page = await panel.post("/connections/preview", FORM | changes, "editor")
    assert page.status == 200
    return " ".join(re.findall(r'<p class="warn-text">(.*?)</p>', page.text))


async def test_the_preview_warns_by_what_the_agent_says_now(panel: Panel, api: ControlApi) -> None:
    agent = (await api.agent())["agent"]
    registry = api.plane.registry = Registry()
    assert "it has not connected yet" in await warnings_of(panel)
    assert await warnings_of(panel, mode="cloud") == ""
    assert await warnings_of(panel, agent="") == ""
    assert await warnings_of(panel, agent="nobody") == ""
    assert await warnings_of(panel, store_url="ftp://x/") == ""
    first = tunnel(agent["id"], Rule(STORE, frozenset({"GET", "HEAD"}), frozenset({"orders", "products"})))
    registry.add(first)
    said = await warnings_of(panel)
    assert "refuses POST, PUT, PATCH, DELETE on this store: its settings open GET, HEAD only" in said
    assert "opens these resources of this store only: orders, products" in said
    assert await warnings_of(panel, methods=["GET"], resources="orders") == ""
    assert "refuses customers on this store" in await warnings_of(panel, methods=["GET"], resources="orders, customers")
    other = await warnings_of(panel, store_url="https://other.example.com/api/?token=CANARY")
    assert (
        "do not open https://other.example.com/: run on its machine prestashop-agent stores add https://other" in other
    )
    assert "CANARY" not in other
    several = {"store_url": "https://other.example.com/admin123abc/", "methods": ["GET"]}
    assert "open none of these: run on its machine prestashop-agent stores add URL" in await warnings_of(
        panel, **several
    )


async def test_the_page_shows_what_the_agent_opens_and_what_it_found(panel: Panel, api: ControlApi) -> None:
    agent = (await api.agent())["agent"]
    made = await api.connection(mode="on-premise", agent="warehouse")
    page = await panel.get("/connections/shop-lyon", "viewer")
    assert "it has not connected yet" in page.text
    grants = [Grant.from_rule(Rule(STORE, frozenset(METHODS))).model_dump(mode="json")]
    async with api.plane.note() as connection:
        await connection.execute(update(AGENTS).where(AGENTS.c.id == agent["id"]).values(grants=grants))
    page = await panel.get("/connections/shop-lyon", "viewer")
    assert "GET, HEAD, POST, PUT, PATCH, DELETE of every resource" in page.text
    assert "as it said last" in page.text
    assert "note warn" not in page.text
    tls = Step(
        Layer.TLS, StepState.WARNING, "Encrypted, but the certificate is not checked.", "Check it.", "unverified"
    )
    report = CheckReport(True, "ok", "All is well.", "", (tls,))
    for _ in range(12):
        await record_test(api.plane, ConnectionTest(made["id"], "shop-lyon", report), "schedule")
    page = await panel.get("/connections/shop-lyon", "viewer")
    assert "All 12, layer by layer" in page.text
    assert page.text.count("the certificate is not checked") == 2  # the last test, and the facts
    history = await panel.get("/connections/shop-lyon/tests", "viewer")
    assert (history.status, history.text.count("<details class")) == (200, 12)
    assert "What to do:</span> Check it." in history.text
    assert (await panel.get("/connections/nobody/tests", "viewer")).status == 404

    api.plane.registry = Registry()
    api.plane.registry.add(tunnel(agent["id"]))
    page = await panel.get("/connections/shop-lyon", "viewer")
    assert "do not open https://shop.example.com/" in page.text
    assert "as it says now" in page.text


async def test_what_an_agent_said_may_not_be_known_whole(panel: Panel, api: ControlApi) -> None:
    agent = (await api.agent())["agent"]
    some = [make_store("https", f"s{number}.example.com", 443, "/", "", "") for number in range(GRANTS_KEPT_MAX)]
    grants = [Grant.from_rule(Rule(store)).model_dump(mode="json") for store in some]
    for kept, sentence in ((grants, ""), (grants[1:], "as it said last, do not open"), ([{"scheme": 7}], "not known")):
        async with api.plane.note() as connection:
            await connection.execute(update(AGENTS).where(AGENTS.c.id == agent["id"]).values(grants=kept))
        said = await warnings_of(panel)
        assert (sentence in said, said == "") == (True, sentence == "")


async def test_the_read_only_switch_stands_for_its_methods(panel: Panel, api: ControlApi) -> None:
    await api.agent()
    fields = FORM | {"api_key": "K" * 32, "read_only": "on"}
    assert (await panel.post("/connections", fields, "editor")).status == 303
    assert (await api.call("GET", "connections/shop"))[1]["methods"] == ["GET", "HEAD"]
    switch = re.compile(r'id="read_only"[^>]* checked')
    assert switch.search((await panel.get("/connections/shop/edit", "editor")).text)
    del fields["read_only"]
    assert (await panel.post("/connections/shop/edit", fields, "editor")).status == 303
    assert (await api.call("GET", "connections/shop"))[1]["methods"] == list(METHODS)
    assert not switch.search((await panel.get("/connections/shop/edit", "editor")).text)
