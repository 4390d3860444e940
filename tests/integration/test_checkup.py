"""A layered check of a store: each layer that can fail, and what is said of it. The stores are real sockets."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from agent.checkup.collector import AnswerCollector
from agent.checkup.run import run_checkup
from agent.demo.store import ApiKey, StoreConfig
from agent.demo.store.config import Front
from agent.doctor.answer import DUMMY_KEY
from agent.doctor.report import Layer, Step, StepState
from agent.policy import METHODS
from tests.kit.checkup import answer, plan_for, state_of, stops_at
from tests.kit.sample_store import CONFIG, KEY, READ_KEY, running
from tests.kit.scripted_store import Script, ScriptedStore, StoreConnection, StoreRequest

OTHER = "UNKNOWN0UNKNOWN0UNKNOWN0UNKNOWN0"
ORDER = [layer for layer in Layer if layer not in (Layer.AGENT, Layer.POLICY)]


async def test_a_good_store_is_seen_through_all_layers() -> None:
    seen: list[Step] = []
    async with running() as store:
        report = await run_checkup(plan_for(store.port), seen.append)
    assert report.ok
    assert [step.layer for step in report.steps] == ORDER
    assert list(report.steps) == seen  # told one by one
    assert report.version == "8.2.4"
    assert report.permissions is not None
    assert report.permissions["products"] == METHODS
    assert state_of(report, Layer.TLS) is StepState.SKIPPED
    assert KEY not in repr(report)


async def test_a_key_with_few_permissions_shows_just_these() -> None:
    async with running() as store:
        report = await run_checkup(plan_for(store.port, key=READ_KEY))
    assert report.permissions is not None
    assert {name: methods for name, methods in report.permissions.items() if methods} == {"products": ("GET", "HEAD")}


async def test_without_a_key_it_ends_when_the_webservice_is_known_to_be_alive() -> None:
    async with running() as store:
        report = await run_checkup(plan_for(store.port, key=None))
    assert report.ok
    assert [state_of(report, layer) for layer in (Layer.KEY, Layer.PERMISSIONS)] == [StepState.SKIPPED] * 2


@pytest.mark.parametrize(
    ("config", "key", "layer", "verdict"),
    [
        (CONFIG, OTHER, Layer.KEY, "key_unknown"),
        (replace(CONFIG, keys=(ApiKey(KEY, active=False),)), KEY, Layer.KEY, "key_unknown"),
        (replace(CONFIG, keys=(ApiKey(KEY, {}),)), KEY, Layer.PERMISSIONS, "key_without_permission"),
        (replace(CONFIG, webservice=False), KEY, Layer.WEBSERVICE, "webservice_off"),
        (replace(CONFIG, front=Front("fcgi")), KEY, Layer.WEBSERVICE, "header_lost"),
    ],
    ids=["unknown", "inactive", "without permission", "switched off", "header lost"],
)
async def test_what_prestashop_itself_says(config: StoreConfig, key: str, layer: Layer, verdict: str) -> None:
    async with running(config) as store:
        report = await run_checkup(plan_for(store.port, key=key))
    stops_at(report, layer, verdict)


async def test_a_host_that_loses_the_header_is_asked_with_ws_key() -> None:
    async with running(replace(CONFIG, front=Front("fcgi"))) as store:
        report = await run_checkup(replace(plan_for(store.port), key_in="ws_key"))
    assert report.ok


async def test_a_shop_that_knows_itself_under_another_name() -> None:
    async with running() as store:
        report = await run_checkup(replace(plan_for(store.port), host="other.example.com"))
    stops_at(report, Layer.HTTP, "wrong_host")


@pytest.mark.parametrize(
    ("script", "layer", "verdict"),
    [
        (answer("403 Forbidden", b"<html>blocked</html>"), Layer.HTTP, "firewall"),
        (answer("406 Not Acceptable", b"<html>WAF</html>"), Layer.HTTP, "firewall"),
        (answer("502 Bad Gateway", b"<html>nginx</html>"), Layer.HTTP, "store_down"),
        (answer("301 Moved", fields=b"Location: https://127.0.0.1/api/\r\n"), Layer.HTTP, "https_only"),
        (answer("302 Found", fields=b"Location: /login\r\n"), Layer.HTTP, "redirected"),
        (
            answer("401 Unauthorized", fields=b'WWW-Authenticate: Basic realm="staging"\r\n'),
            Layer.HTTP,
            "password_in_front",
        ),
        (answer("404 Not Found", b"<html>no</html>"), Layer.WEBSERVICE, "wrong_folder"),
        (answer("500 Internal Server Error"), Layer.WEBSERVICE, "store_error_empty"),
        (answer("200 OK", b"<html>hello</html>"), Layer.WEBSERVICE, "not_a_webservice"),
        (answer("418 Teapot"), Layer.HTTP, "unexpected_status"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_stands_in_front(script: Script, layer: Layer, verdict: str) -> None:
    async with ScriptedStore(script) as store:
        report = await run_checkup(plan_for(store.port))
    stops_at(report, layer, verdict)


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 200 OK\nbare: lf\n\n", b"\x00" * 100])
async def test_what_is_not_http(raw: bytes) -> None:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(raw)
        connection.writer.close()
        return None

    async with ScriptedStore(script) as store:
        report = await run_checkup(plan_for(store.port))
    stops_at(report, Layer.HTTP, "store_bad_response")


async def test_an_answer_without_end_is_not_read_without_end() -> None:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            await connection.send(b"x" * 65536)

    async with ScriptedStore(script) as store:
        report = await run_checkup(plan_for(store.port))
        await store.wait_for_connections_closed(1)
    stops_at(report, Layer.WEBSERVICE, "not_a_webservice")
    assert AnswerCollector.LIMIT_BYTES == 512 * 1024


async def test_addresses_that_may_not_be_dialed_are_not() -> None:
    async with ScriptedStore() as store:
        plan = replace(plan_for(store.port), refuse_addresses=lambda found: f"{found[0]} is private.")
        stops_at(await run_checkup(plan), Layer.DNS, "address_not_allowed")
        assert store.connections == []


async def test_a_port_where_nobody_listens() -> None:
    async with ScriptedStore() as store:
        port = store.port
    step = stops_at(await run_checkup(plan_for(port)), Layer.TCP, "store_unreachable")
    assert "refused the connection" in step.finding


async def test_what_the_policy_does_not_allow_is_not_sent() -> None:
    async with ScriptedStore() as store:
        plan = plan_for(store.port)
        closed = replace(plan, rule=replace(plan.rule, methods=frozenset({"POST"})))
        stops_at(await run_checkup(closed), Layer.POLICY, "policy_denied")
        assert store.connections == []


async def test_nothing_but_the_dummy_key_goes_to_a_store_that_is_none() -> None:
    async with ScriptedStore(answer("404 Not Found")) as store:
        await run_checkup(plan_for(store.port))
        assert DUMMY_KEY.encode() not in store.received  # it travels in base64
        (request,) = store.requests
    assert request.raw_head.startswith(b"GET /api/ HTTP/1.1\r\n")
    assert base64.b64encode(f"{DUMMY_KEY}:".encode()) in request.raw_head
    assert base64.b64encode(f"{KEY}:".encode())[:-4] not in request.raw_head


async def test_a_store_that_keeps_its_connection_open_is_not_waited_for() -> None:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
        await connection.until_gone()
        return None

    async with ScriptedStore(script) as store:
        report = await run_checkup(replace(plan_for(store.port), answer_timeout_s=20.0))
    stops_at(report, Layer.WEBSERVICE, "wrong_folder")
    assert report.elapsed_ms < 10_000


@pytest.mark.parametrize("ends", [True, False], ids=["cut", "stalled"])
async def test_an_answer_that_is_not_whole_is_not_believed(ends: bool) -> None:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 200\r\n\r\n<html>")
        if not ends:
            await connection.until_gone()
        connection.writer.close()
        return None

    async with ScriptedStore(script) as store:
        report = await run_checkup(plan_for(store.port))
    stops_at(report, Layer.HTTP, "store_bad_response" if ends else "store_timeout")


async def test_headers_of_a_connection_go_along_but_for_those_that_change_the_answer() -> None:
    headers = (("X-Shop", "one"), ("Output-Format", "JSON"), ("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"))
    async with ScriptedStore(answer("404 Not Found")) as store:
        await run_checkup(replace(plan_for(store.port), headers=headers))
        (request,) = store.requests
    assert b"X-Shop: one\r\n" in request.raw_head
    assert not any(word in request.raw_head for word in (b"JSON", b"gzip", b"bytes="))


# -- the test of a connection's own ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/products?limit=1"), ("HEAD", "/api/products/1")])
async def test_a_test_path_of_its_own(method: str, path: str) -> None:
    async with running() as store:
        plan = replace(plan_for(store.port), test_method=method, test_path=path)  # type: ignore[arg-type]
        report = await run_checkup(plan)
    assert report.ok
    assert report.steps[-1].facts["test_status"] == 200
