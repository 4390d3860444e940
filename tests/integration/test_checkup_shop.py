"""A layered check of a shop that is set up wrongly: folder, shop number, key, and what stands in front of it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from agent.checkup.plan import CheckPlan
from agent.checkup.run import run_checkup
from agent.demo.store import ApiKey, Shop, ShopUrl
from agent.doctor.report import Layer, Step
from tests.kit.checkup import answer, plan_for, stops_at, warned
from tests.kit.sample_store import CONFIG, KEY, READ_KEY, ask, running
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest
from tests.kit.wire_client import WireClient

TWO_SHOPS = replace(
    CONFIG, shops=(Shop(), Shop(2, "Second")), urls=(ShopUrl(), ShopUrl("", virtual_uri="b2b/", id_shop=2))
)
LISTING = b'<prestashop><api shopName="x"><products get="true" put="false"/></api></prestashop>'
BOTH = frozenset({1, 2})


def of_shop(plan: CheckPlan, **more: str) -> CheckPlan:
    """The plan, for another shop or folder of the same store."""
    return replace(plan, rule=replace(plan.rule, store=replace(plan.rule.store, **more)))  # type: ignore[arg-type] # texts all


# -- the key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_in", ["basic", "ws_key"])
@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        (KEY[:31], "key_malformed"),
        (KEY + "X", "key_malformed"),
        (" ", "key_malformed"),
        ("A KEY WITH BLANKS THAT IS 32 LONG", "key_malformed"),
        ("A KEY WITH BLANKS THAT IS 32LONG", "key_unknown"),
        (KEY.lower(), "key_unknown"),
    ],
)
async def test_a_key_that_was_copied_wrongly(key_in: str, key: str, verdict: str) -> None:
    async with running() as store:
        report = await run_checkup(replace(plan_for(store.port, key=key), key_in=key_in))  # type: ignore[arg-type]
    step = stops_at(report, Layer.KEY, verdict)
    assert "Advanced parameters > Webservice" in step.remedy
    assert key.strip() == "" or key not in repr(report)


async def test_blanks_around_a_key_are_cut_off_by_prestashop() -> None:
    async with running() as store:
        report = await run_checkup(plan_for(store.port, key=f" {KEY} "))
    assert report.ok


@pytest.mark.parametrize("more", [{"virtual_uri": "b2b/"}, {"id_shop": "2"}], ids=["folder", "number"])
@pytest.mark.parametrize(("shops", "verdict"), [(frozenset({1}), "key_not_for_shop"), (BOTH, "ok")])
async def test_a_key_of_another_shop_of_a_multistore(more: dict[str, str], shops: frozenset[int], verdict: str) -> None:
    async with running(replace(TWO_SHOPS, keys=(ApiKey(KEY, shops=shops),))) as store:
        report = await run_checkup(of_shop(plan_for(store.port), **more))
    if verdict == "ok":
        assert (report.ok, report.verdict) == (True, "ok")
        return
    step = stops_at(report, Layer.KEY, verdict)
    assert "Store association" in step.remedy


@pytest.mark.parametrize(("path", "verdict"), [("/api/orders", "test_failed"), ("/api/products/9999", "test_failed")])
async def test_a_test_path_of_its_own_that_is_refused_or_not_there(path: str, verdict: str) -> None:
    async with running() as store:
        report = await run_checkup(replace(plan_for(store.port, key=READ_KEY), test_path=path))
    step = stops_at(report, Layer.PERMISSIONS, verdict)
    assert path in step.finding
    assert "test path in the connection" in step.remedy


@pytest.mark.parametrize("verdict", ["store_timeout"])
async def test_a_test_path_that_is_not_answered_is_said_to_be_so(verdict: str) -> None:
    async with running() as store:
        silent: list[bool] = []

        def slow_down(step: Step) -> None:
            if step.layer is Layer.KEY:
                silent.append(True)
                store.delay_s = 60.0

        plan = replace(plan_for(store.port), test_path="/api/products", answer_timeout_s=0.2)
        report = await run_checkup(plan, slow_down)
    assert silent == [True]
    assert "No whole answer came within 0.2 s." in stops_at(report, Layer.PERMISSIONS, verdict).finding


# -- the address ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["shop_unknown"])
async def test_a_shop_number_that_is_none(verdict: str) -> None:
    async with running(TWO_SHOPS) as store:
        report = await run_checkup(of_shop(plan_for(store.port), id_shop="3"))
    step = stops_at(report, Layer.WEBSERVICE, verdict)
    assert "does not know shop 3" in step.finding
    assert "Advanced parameters > Multistore" in step.remedy


@pytest.mark.parametrize("verdict", ["wrong_folder"])
@pytest.mark.parametrize(
    ("asked_in", "lies_in", "status"), [("/", "/shop/", 404), ("/shop/", "/shop/", 401)], ids=["folder", "rewriting"]
)
async def test_the_address_in_the_remedy_tells_a_wrong_folder_from_missing_rules(
    asked_in: str, lies_in: str, status: int, verdict: str
) -> None:
    async with ScriptedStore(answer("404 Not Found", b"<html>no rules</html>")) as without_rules:
        report = await run_checkup(of_shop(plan_for(without_rules.port), base_path=asked_in))
    step = stops_at(report, Layer.WEBSERVICE, verdict)
    found = re.search(r"Open http://[0-9.:]+(/\S*) in a browser", step.remedy)
    assert found is not None
    async with running(replace(CONFIG, urls=(ShopUrl(physical_uri=lies_in),))) as store:
        browser = await WireClient.connect(store.port)
        await browser.send(f"GET {found[1]} HTTP/1.1\r\nHost: {store.domain}\r\n\r\n".encode())
        said = await browser.read("GET")
        await browser.close()
    assert said.status == status
    assert ("www-authenticate" in {name.lower() for name, _ in said.headers}) == (status == 401)


@pytest.mark.parametrize("verdict", ["https_only"])
@pytest.mark.parametrize("by", [b"You're speaking plain HTTP to an SSL-enabled port", b"The plain HTTP request was"])
async def test_plain_http_to_a_port_of_https(by: bytes, verdict: str) -> None:
    async with ScriptedStore(answer("400 Bad Request", b"<html>" + by)) as store:
        port = store.port
        report = await run_checkup(plan_for(port))
    assert f"Port {port} of the store speaks https" in stops_at(report, Layer.HTTP, verdict).finding


# -- what stands in front ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["key_added_in_front"])
async def test_a_proxy_that_adds_a_key_is_warned_of(verdict: str) -> None:
    async with ScriptedStore(answer("200 OK", LISTING)) as store:
        report = await run_checkup(plan_for(store.port))
    assert "answered a key that does not exist" in warned(report, Layer.WEBSERVICE, verdict).finding


@pytest.mark.parametrize("verdict", ["header_replaced"])
async def test_a_password_protection_that_passes_its_own_credentials_on(verdict: str) -> None:
    async with running() as store:

        async def protected(request: StoreRequest, connection: StoreConnection) -> bytes | None:
            got = await ask(store, "GET /api/", key="staging")
            return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(got.body) + got.body

        async with ScriptedStore(protected) as front:
            report = await run_checkup(plan_for(front.port))
    assert "replaces the Authorization header" in stops_at(report, Layer.WEBSERVICE, verdict).finding


@pytest.mark.parametrize(
    ("body", "verdict"), [(b"<error><code><![CDATA[3]]></code></error>", "store_error"), (b"", "store_error_empty")]
)
async def test_php_breaks_off_only_when_the_key_is_right(body: bytes, verdict: str) -> None:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        if base64.b64encode(f"{KEY}:".encode()) in request.raw_head:
            return await answer("500 Internal Server Error", body)(request, connection)
        refused = b"<error><code>20</code></error>"
        return await answer("401 Unauthorized", refused, b"PSWS-Version: 0\r\n")(request, connection)

    async with ScriptedStore(script) as store:
        stops_at(await run_checkup(plan_for(store.port)), Layer.KEY, verdict)


async def test_a_page_with_an_element_called_api_is_no_webservice() -> None:
    async with ScriptedStore(answer("200 OK", b"<html><api-docs/><api get='true'>")) as store:
        stops_at(await run_checkup(plan_for(store.port)), Layer.WEBSERVICE, "not_a_webservice")
