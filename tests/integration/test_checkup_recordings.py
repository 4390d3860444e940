"""Answers of a real PrestaShop, byte for byte as recorded, looked at by a whole check: each gets its one verdict."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Final

import pytest

from agent.checkup.run import run_checkup
from agent.doctor.answer import DUMMY_KEY
from agent.doctor.report import Layer
from tests.kit.checkup import plan_for, sane_times, stops_at
from tests.kit.exchange import Exchange
from tests.kit.recordings import NOT_THERE, load_recordings
from tests.kit.sample_store import KEY
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest
from tests.kit.tools import missing

RECORDED: Final = {exchange.id: exchange for exchange in load_recordings() or ()}
REFUSED: Final = "auth-basic-unknown-key"
"""What a store that is all right answers to a key that is none."""

DUMMY: Final = base64.b64encode(f"{DUMMY_KEY}:".encode())
HOST: Final = "127.0.0.1:8081"


@pytest.fixture(autouse=True)
def _recordings() -> None:
    if not RECORDED:
        missing(NOT_THERE)


class RecordedStore(ScriptedStore):
    """Answers a key that is none with ``first``, each other key with ``second``."""

    def __init__(self, first: str, second: str = "") -> None:
        super().__init__(self._replay)
        self._first, self._second = first, second

    async def _replay(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        is_dummy = DUMMY in request.raw_head or DUMMY_KEY.encode() in request.raw_head
        exchange: Exchange = RECORDED[self._first if is_dummy else self._second]
        await connection.send(exchange.response.wire_bytes())
        if exchange.closed_after or exchange.response.framing == "eof":
            connection.writer.close()
        return None


@pytest.mark.parametrize(
    ("listing", "permissions"),
    [
        ("api-read-key", {"products": ("GET", "HEAD"), "orders": ("GET", "HEAD")}),
        ("api-no-slash", {"products": ("GET", "HEAD"), "orders": ("GET", "HEAD")}),
        ("front-subfolder-api", {"products": ("GET", "HEAD"), "orders": ("GET", "HEAD")}),
    ],
)
async def test_a_real_listing_is_read(listing: str, permissions: dict[str, tuple[str, ...]]) -> None:
    async with RecordedStore(REFUSED, listing) as store:
        report = await run_checkup(replace(plan_for(store.port), host=HOST))
    assert (report.ok, report.verdict, report.version) == (True, "ok", "8.2.4")
    assert report.permissions == permissions
    sane_times(report)


@pytest.mark.parametrize(
    ("recording", "layer", "verdict", "part"),
    [
        ("host-wrong-no-key", Layer.HTTP, "wrong_host", '"127.0.0.1:8081"'),
        ("host-wrong-canonical-2", Layer.HTTP, "wrong_host", "(301)"),
        ("front-nginx-own-port-302", Layer.HTTP, "wrong_host", '"127.0.0.1:8081"'),
        ("front-tls-own-port-302", Layer.HTTP, "wrong_host", '"127.0.0.1:8081"'),
        ("host-domain-without-www", Layer.HTTP, "wrong_host", '"www.local.test"'),
        ("host-domain-trailing-dot", Layer.HTTP, "wrong_host", '"www.local.test"'),
        ("host-missing", Layer.HTTP, "unexpected_status", "400"),
        ("auth-none", Layer.WEBSERVICE, "header_lost", "Authorization"),
        ("auth-basic-no-colon", Layer.WEBSERVICE, "header_lost", "Authorization"),
        ("front-fcgi-authorization-lost", Layer.WEBSERVICE, "header_lost", "Authorization"),
        ("auth-basic-beats-ws-key", Layer.WEBSERVICE, "header_replaced", "(error 18)"),
        ("auth-basic-empty", Layer.WEBSERVICE, "header_replaced", "(error 17)"),
        ("auth-webservice-off-wrong-key", Layer.WEBSERVICE, "webservice_off", "(error 22)"),
        ("front-nginx-503", Layer.WEBSERVICE, "webservice_off", "(error 22)"),
        ("front-subfolder-root-api", Layer.WEBSERVICE, "wrong_folder", "/api/"),
        ("html-api-wrong-case", Layer.WEBSERVICE, "wrong_folder", "/api/"),
        ("html-maintenance", Layer.HTTP, "store_down", "503"),
        ("html-home-redirect", Layer.HTTP, "wrong_host", '"127.0.0.1:8081"'),
        ("html-home-en", Layer.WEBSERVICE, "not_a_webservice", "200"),
        ("html-static-jpeg", Layer.WEBSERVICE, "not_a_webservice", "200"),
        ("html-header-too-long", Layer.HTTP, "unexpected_status", "400"),
        ("api-json-500", Layer.WEBSERVICE, "store_error_empty", "500"),
        ("front-nginx-api-json-500", Layer.WEBSERVICE, "store_error_empty", "500"),
        ("error-999-shop-group", Layer.WEBSERVICE, "store_error", "999"),
        ("error-32-filter-unknown", Layer.WEBSERVICE, "store_error", "32"),
        ("list-products", Layer.WEBSERVICE, "not_a_webservice", "200"),
        ("list-empty-json", Layer.WEBSERVICE, "not_a_webservice", "200"),
    ],
    ids=lambda value: value if isinstance(value, str) and "-" in value else "",
)
async def test_what_a_real_store_answers_before_any_key(recording: str, layer: Layer, verdict: str, part: str) -> None:
    async with RecordedStore(recording) as store:
        report = await run_checkup(replace(plan_for(store.port), host="relay.example.com"))
        asked = len(store.requests)
    assert part in stops_at(report, layer, verdict).finding
    assert KEY not in repr(report)
    assert asked == 1, "the key itself is not shown to a store that fails before"


@pytest.mark.parametrize(
    ("recording", "layer", "verdict", "part"),
    [
        ("auth-basic-unknown-key", Layer.KEY, "key_unknown", "(error 20, 21)"),
        ("auth-basic-inactive-key", Layer.KEY, "key_unknown", "(error 20, 21)"),
        ("auth-basic-empty", Layer.KEY, "key_malformed", "(error 17)"),
        ("auth-basic-beats-ws-key", Layer.KEY, "key_malformed", "(error 18)"),
        ("multistore-key-not-on-shop", Layer.KEY, "key_not_for_shop", "(error 132)"),
    ],
)
async def test_what_a_real_store_answers_to_a_key(recording: str, layer: Layer, verdict: str, part: str) -> None:
    async with RecordedStore(REFUSED, recording) as store:
        report = await run_checkup(replace(plan_for(store.port), host=HOST))
    assert part in stops_at(report, layer, verdict).finding


@pytest.mark.parametrize(
    ("key_in", "verdict"), [("basic", "header_lost"), ("ws_key", "query_lost")], ids=["basic", "ws_key"]
)
async def test_a_key_that_does_not_arrive_was_lost_where_it_was_sent(key_in: str, verdict: str) -> None:
    async with RecordedStore("auth-none") as store:
        report = await run_checkup(replace(plan_for(store.port), host=HOST, key_in=key_in))  # type: ignore[arg-type]
    stops_at(report, Layer.WEBSERVICE, verdict)


@pytest.mark.parametrize("recording", ["host-unknown-id-shop", "multistore-unknown-shop"])
@pytest.mark.parametrize("verdict", ["shop_unknown"])
async def test_a_shop_number_that_the_store_does_not_know(recording: str, verdict: str) -> None:
    async with RecordedStore(recording) as store:
        plan = plan_for(store.port)
        numbered = replace(plan.rule, store=replace(plan.rule.store, id_shop="99"))
        report = await run_checkup(replace(plan, host=HOST, rule=numbered))
    assert "shop 99" in stops_at(report, Layer.WEBSERVICE, verdict).finding
