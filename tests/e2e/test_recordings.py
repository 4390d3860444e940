"""Every recorded exchange with a real store, and those of our own writing, through gateway, tunnel and agent.

*Forwarded*: the bytes on the store's and on the client's socket are the recorded ones but for the closed lists of
``expectation``. *Refused*: no byte reached the store, and the error has the name that ``outcomes.toml`` says.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest
import pytest_asyncio

from agent.errors import BY_NAME
from tests.e2e.expectation import client_bytes, closes, store_head
from tests.e2e.placement import Place, Placed, Route, accepted_keys, place
from tests.kit.certificates import CertificateAuthority
from tests.kit.cluster import LOOPBACK, Cluster, Link, Mode, loopback_store
from tests.kit.exchange import Exchange
from tests.kit.raw_client import RawClient
from tests.kit.recordings import NOT_THERE, load_own_exchanges, load_recordings
from tests.kit.replay_store import Replay, ReplayStore
from tests.kit.tools import missing

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORWARDED = "forwarded"
NO_KEY = "client_key_invalid"
LARGE_BYTES = 512 * 1024
ANSWER_TIMEOUT_S = 20.0

_OUTCOMES = tomllib.loads(Path(__file__).with_name("outcomes.toml").read_text())
_REQUEST_ID = re.compile(rb"\r\nX-Request-Id: ([0-9a-f]{16})\r\n")

_RECORDED = load_recordings()
_OWN = load_own_exchanges()
_SETS = {"recorded": _RECORDED or [], "own": _OWN}


@dataclass(frozen=True)
class Case:
    """One exchange to send, and what must become of it."""

    placed: Placed
    outcome: str

    def __str__(self) -> str:
        return self.placed.exchange.id


def _cases(table: str, exchanges: list[Exchange]) -> Iterator[Case]:
    outcomes = _OUTCOMES[table]
    accepted = accepted_keys(exchanges)
    for exchange in exchanges:
        yield Case(place(exchange, accepted), outcomes.get(exchange.id, "(not written down)"))


def _cases_with_right_key(table: str, exchanges: list[Exchange]) -> Iterator[Case]:
    """What was refused for its key alone, once more with a key that the gateway knows."""
    refused = _OUTCOMES[table]
    for exchange in exchanges:
        if refused.get(exchange.id) == NO_KEY:
            placed = place(exchange, frozenset(), right_key=True)
            yield Case(placed, _OUTCOMES[f"{table}_with_a_right_key"].get(exchange.id, "(not written down)"))


CASES = [case for table, exchanges in _SETS.items() for case in _cases(table, exchanges)]
RIGHT_KEY_CASES = [case for table, exchanges in _SETS.items() for case in _cases_with_right_key(table, exchanges)]


@dataclass
class Stage:
    """Stores, gateway and one client connection that is used for as long as it lasts."""

    cluster: Cluster
    stores: dict[Place, ReplayStore]
    slugs: dict[Route, str]
    client: RawClient | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def connected(self) -> RawClient:
        """The client's connection, a new one where the last was closed."""
        if self.client is None:
            self.client = await self.stack.enter_async_context(self.cluster.client())
        return self.client

    async def ended(self, client: RawClient) -> bytes:
        """What comes until the gateway closes."""
        self.client = None
        return await client.rest()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["tunnel", "cloud"])
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """All stores and connections that the exchanges need, once per mode."""
    mode: Mode = request.param
    authority = CertificateAuthority(tmp_path_factory.mktemp("ca"))
    routes = dict.fromkeys(case.placed.route for case in (*CASES, *RIGHT_KEY_CASES))
    with pytest.MonkeyPatch.context() as patch:
        # Mode Cloud trusts the system's authorities alone: this makes ours one of them.
        patch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        async with AsyncExitStack() as stack:
            stores: dict[Place, ReplayStore] = {}
            for route in routes:
                if route.place not in stores:
                    tls = authority.server_context(LOOPBACK) if route.place.tls else None
                    stores[route.place] = await stack.enter_async_context(ReplayStore(tls=tls))
            slugs = {route: f"shop-{number}" for number, route in enumerate(routes)}
            links = [_link(route, slug, stores[route.place].port) for route, slug in slugs.items()]
            cluster = await stack.enter_async_context(Cluster(links, mode=mode))
            yield Stage(cluster, stores, slugs, stack=stack)


def _link(route: Route, slug: str, port: int) -> Link:
    scheme = "https" if route.place.tls else "http"
    store = loopback_store(port, scheme=scheme, base_path=route.base_path, id_shop=route.id_shop)
    return Link(slug, store, shop_host=route.place.shop_host, api_key=route.api_key, key_in=route.key_in)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_exchange(stage: Stage, case: Case) -> None:
    await _play(stage, case)


@pytest.mark.parametrize("case", RIGHT_KEY_CASES, ids=str)
async def test_exchange_that_lacked_the_right_key(stage: Stage, case: Case) -> None:
    await _play(stage, case)


@pytest.mark.parametrize("table", ["recorded", "own"])
async def test_every_exchange_has_an_outcome_and_every_outcome_an_exchange(table: str) -> None:
    if table == "recorded" and _RECORDED is None:
        missing(NOT_THERE)
    assert {exchange.id for exchange in _SETS[table]} == set(_OUTCOMES[table])
    no_key = {name for name, outcome in _OUTCOMES[table].items() if outcome == NO_KEY}
    assert no_key == set(_OUTCOMES[f"{table}_with_a_right_key"])


async def _play(stage: Stage, case: Case) -> None:
    placed = case.placed
    store = stage.stores[placed.route.place]
    replay = store.play(placed.exchange)
    client = await stage.connected()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            if case.outcome == FORWARDED:
                await _forwarded(stage, placed, replay, client)
            else:
                await _refused(stage, case, replay, client)
    except BaseException:  # a failed assertion, too
        stage.client = None  # what is left of this exchange must not spoil the next
        raise
    assert not store.stray


async def _forwarded(stage: Stage, placed: Placed, replay: Replay, client: RawClient) -> None:
    request = placed.exchange.request
    if request.expects_continue:
        await client.send(placed.head(stage.slugs[placed.route]))
        first = b"".join(interim.head_bytes() for interim in placed.exchange.response.interim)
        received = bytearray(await client.reader.readexactly(len(first)))
        assert received == first, "the body is asked for before it is sent"
        sending = asyncio.create_task(_send_body(placed, replay, client))
    else:
        received = bytearray()
        sending = asyncio.create_task(_send(stage, placed, replay, client))
    expected = b"".join(client_bytes(placed, "0" * 16))
    while len(received) < len(expected):
        data = await client.reader.read(65536)
        if not data:
            break
        received += data
        if len(received) > len(expected) // 4:
            replay.go_on.set()
    replay.go_on.set()
    await sending
    request_id = _request_id(received)
    assert bytes(received) == b"".join(client_bytes(placed, request_id))
    await replay.over.wait()
    body = b"".join(request.wire_body_pieces())
    assert bytes(replay.received[: -len(body) or None]) == store_head(placed, request_id)
    assert replay.received.endswith(body)
    if closes(placed):
        assert await stage.ended(client) == b""


async def _refused(stage: Stage, case: Case, replay: Replay, client: RawClient) -> None:
    placed = case.placed
    request = placed.exchange.request
    await _send(stage, placed, None, client)
    answer = await client.answer(to_head=request.method == "HEAD")
    assert not client._ahead, "bytes follow the answer"
    assert answer.error_name == case.outcome
    assert answer.status == BY_NAME[case.outcome].status
    if request.method != "HEAD":
        assert _error_message(answer.body, as_json=_asks_for_json(placed.exchange)).startswith(case.outcome)
    assert not replay.received, "a byte of a refused request reached the store"
    if answer.field("Connection") == "close":
        assert await stage.ended(client) == b""


def _asks_for_json(exchange: Exchange) -> bool:
    """As PrestaShop understands it: the header wins over the query. What is not HTTP asks for nothing."""
    if "bad_request" in (_OUTCOMES["recorded"].get(exchange.id), _OUTCOMES["own"].get(exchange.id)):
        return False
    request = exchange.request
    header = request.header("Output-Format") or request.header("Io-Format")
    asked = header or ("JSON" if re.search(r"[?&](output|io)_format=JSON", request.target) else "")
    return asked.upper() == "JSON"


def _error_message(body: bytes, *, as_json: bool) -> str:
    """The message in an error body of PrestaShop's own shape."""
    if as_json:
        return str(json.loads(body)["errors"][0]["message"])
    return ElementTree.fromstring(body).findtext("errors/error/message") or ""


async def _send(stage: Stage, placed: Placed, replay: Replay | None, client: RawClient) -> None:
    await client.send(placed.head(stage.slugs[placed.route]))
    await _send_body(placed, replay, client)


async def _send_body(placed: Placed, replay: Replay | None, client: RawClient) -> None:
    """Send the body; of a large one the last quarter only when the store has received the first half."""
    length = placed.exchange.request.body_length
    sent = 0
    for piece in placed.exchange.request.wire_body_pieces():
        if replay is not None and length > LARGE_BYTES and sent > length * 3 // 4:
            await replay.half_way.wait()
        await client.send(piece)
        sent += len(piece)


def _request_id(received: bytearray) -> str:
    found = _REQUEST_ID.search(received)
    assert found is not None, bytes(received[:500])
    return found[1].decode()
