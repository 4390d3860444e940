"""The probe that decides between two readings of an address, against real sockets."""

from __future__ import annotations

import base64

import pytest

from agent.doctor.answer import DUMMY_KEY
from agent.opening import Opening
from agent.probe import ProbeResult, Verdict, probe_opening, probe_openings
from agent.settings import StoreSettings, TimeoutSettings
from tests.kit.scripted_store import Script, ScriptedStore, StoreConnection, StoreRequest

TIMEOUTS = TimeoutSettings(store_connect_s=2)
UNKNOWN_KEY = (
    b"HTTP/1.1 401 Unauthorized\r\nX-Powered-By: PrestaShop Webservice\r\nPSWS-Version: 0\r\nContent-Length: 0\r\n\r\n"
)
NO_KEY = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="Welcome to PrestaShop Webservice, please enter"\r\n'
    b"Content-Length: 16\r\n\r\n401 Unauthorized"
)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nX-Powered-By: PHP/8.1\r\nContent-Length: 0\r\n\r\n"
STAGING = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="Staging"\r\nContent-Length: 0\r\n\r\n'
ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: https://k3y@www.example.com/api/?ws_key=k3y\r\n\r\n"


def webservice_under(folder: str) -> Script:
    """The webservice under one folder, a 404 everywhere else."""

    async def script(request: StoreRequest, connection: StoreConnection) -> bytes:
        return UNKNOWN_KEY if request.raw_head.startswith(f"GET {folder}api/ ".encode()) else NOT_FOUND

    return script


def always(answer: bytes) -> Script:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(answer)
        connection.writer.close()
        return None

    return script


async def silent(request: StoreRequest, connection: StoreConnection) -> bytes | None:
    await connection.reader.read()
    return None


def opening(port: int, url: str = "http://shop.example.com/shop/") -> Opening:
    return Opening.of(StoreSettings(url=url, connect=f"127.0.0.1:{port}"))


@pytest.mark.parametrize("folder", ["/shop/", "/"])
async def test_the_reading_at_which_the_webservice_answers_is_chosen(folder: str) -> None:
    async with ScriptedStore(webservice_under(folder)) as server:
        given = opening(server.port)
        decided, results = await probe_opening(given, TIMEOUTS)
    assert decided.certain
    assert decided.store.base_path == folder
    assert [result.store for result in results] == list(given.candidates)
    assert {result.verdict for result in results} == {Verdict.WEBSERVICE, Verdict.SOMETHING_ELSE}


async def test_the_request_names_the_shop_and_carries_only_the_dummy_key() -> None:
    async with ScriptedStore(always(UNKNOWN_KEY)) as server:
        given = Opening.of(
            StoreSettings(
                url="http://shop.example.com/mine/index.php?token=s3cret",
                connect=f"127.0.0.1:{server.port}",
                shop_host="www.example.com",
            )
        )
        await probe_opening(given, TIMEOUTS)
    assert len(server.requests) == len(given.candidates) == 2
    for head in (request.raw_head for request in server.requests):
        assert b"\r\nHost: www.example.com\r\n" in head
        assert b"Basic " + base64.b64encode(f"{DUMMY_KEY}:".encode()) in head
        assert b"s3cret" not in head
    assert len(DUMMY_KEY) == 32


async def test_nothing_is_asked_when_the_text_decides() -> None:
    async with ScriptedStore(always(UNKNOWN_KEY)) as server:
        given = opening(server.port, "http://shop.example.com/shop/api/")
        assert await probe_opening(given, TIMEOUTS) == (given, ())
    assert server.requests == []


async def verdict_of(answer: bytes) -> ProbeResult:
    async with ScriptedStore(always(answer)) as server:
        given = opening(server.port)
        decided, results = await probe_opening(given, TIMEOUTS)
    assert decided == given  # both readings got the same answer: nothing is decided
    return results[0]


@pytest.mark.parametrize(
    ("answer", "verdict", "detail"),
    [
        (UNKNOWN_KEY, Verdict.WEBSERVICE, "the webservice answers (status 401)"),
        (NO_KEY, Verdict.WEBSERVICE, "drops the Authorization field"),
        (NOT_FOUND, Verdict.SOMETHING_ELSE, "status 404"),
        (STAGING, Verdict.SOMETHING_ELSE, "status 401"),
        (ELSEWHERE, Verdict.REDIRECT, "redirected to www.example.com"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Verdict.SOMETHING_ELSE, "not HTTP"),
        (b"", Verdict.SOMETHING_ELSE, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, Verdict.SOMETHING_ELSE, "status 200"),
    ],
)
async def test_what_an_answer_means(answer: bytes, verdict: Verdict, detail: str) -> None:
    result = await verdict_of(answer)
    assert result.verdict is verdict
    assert detail in result.detail
    assert "k3y" not in result.detail


async def test_a_closed_port_is_unreachable() -> None:
    async with ScriptedStore() as server:
        port = server.port
    (_, results), (_, again) = await probe_openings([opening(port), opening(port)], TIMEOUTS)
    assert {result.verdict for result in (*results, *again)} == {Verdict.UNREACHABLE}


async def test_a_silent_server_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.probe.PROBE_TIMEOUT_S", 0.2)
    async with ScriptedStore(silent) as server:
        decided, results = await probe_opening(opening(server.port), TIMEOUTS)
    assert not decided.certain
    assert {result.verdict for result in results} == {Verdict.UNREACHABLE}
