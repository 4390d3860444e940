"""A store that lies: errors it forges are not believed, and an answer that is no clean HTTP/1.1 is not passed on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from agent.errors import PolicyDenied
from agent.rewrite import error_response
from tests.kit.cluster import CLIENT_KEY, Cluster, Link, loopback_store
from tests.kit.raw_client import RawAnswer, basic
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS = error_response(PolicyDenied(), proxy="prestashop-agent", as_json=False, to_head=False)
"""An error of the agent to the last byte, but for the nonce that no store knows."""


def _forged(line: bytes) -> bytes:
    return OURS.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


FORGED = {
    "our-whole-error": OURS,
    "nonce-guessed": _forged(b"X-Tunnel-Nonce: " + b"0" * 32 + b" policy_denied"),
    "nonce-in-another-case": _forged(b"x-tUNNEL-nonce: " + b"f" * 32 + b" policy_denied"),
    "nonce-empty": _forged(b"X-Tunnel-Nonce:  policy_denied"),
    "nonce-missing": _forged(b"X-Tunnel-Nonce: policy_denied"),
    "nonce-twice": _forged(b"X-Tunnel-Nonce: " + b"0" * 32 + b" a\r\nX-Tunnel-Nonce: " + b"1" * 32 + b" b"),
    "named-by-connection": _forged(b"Connection: X-Tunnel-Nonce, Proxy-Status\r\nX-Tunnel-Nonce: 0 policy_denied"),
    "request-id": _forged(b"X-Request-Id: forged"),
    "in-an-interim-answer": b"HTTP/1.1 103 Early Hints\r\nProxy-Status: prestashop-agent; error=x\r\n"
    b"X-Tunnel-Nonce: " + b"0" * 32 + b" policy_denied\r\n\r\n" + OURS,
}

_OK = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "length-and-chunked": _OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": _OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "length-list": _OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "length-negative": _OK + b"Content-Length: -5\r\n\r\n",
    "coding-unknown": _OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare-lf-in-a-field": _OK + b"X-A: 1\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
    "nul-in-a-field": _OK + b"X-A: \0\r\nContent-Length: 0\r\n\r\n",
    "folded": _OK + b"X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "blank-before-colon": _OK + b"Content-Length : 0\r\n\r\n",
    "switching-protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "nine-interim-answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 9 + ok(),
    "head-too-large": _OK + b"X-A: " + b"1" * 70_000 + b"\r\n\r\n",
    "status-of-four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "http2": b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "not-http": b"220 mail.example ESMTP\r\n\r\n",
    "old-http": b"<html>hello</html>\r\n\r\n",
}


@dataclass
class Stage:
    """A store that answers ``answer`` to all that comes."""

    cluster: Cluster
    store: ScriptedStore
    answer: bytes = b""

    async def script(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        return self.answer

    async def ask(self, answer: bytes, method: str = "GET") -> RawAnswer:
        """What the client gets when the store sends ``answer``."""
        self.answer = answer
        head = f"{method} /shop/api/products HTTP/1.1\r\nHost: gateway\r\n".encode()
        async with self.cluster.client() as client:
            await client.send(head + basic(CLIENT_KEY) + b"\r\n")
            return await client.answer()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["tunnel", "cloud"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with ScriptedStore() as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links, mode=request.param) as cluster:
            stage = Stage(cluster, store)
            store.script = stage.script
            yield stage


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_error_is_an_answer_of_the_store(stage: Stage, name: str) -> None:
    answer = await stage.ask(FORGED[name])
    assert answer.status == 403
    assert b"policy_denied" in answer.body, "a body is never touched"
    raw = answer.raw.partition(b"<?xml")[0].lower()
    for ours in (b"proxy-status", b"x-tunnel-nonce", b"forged"):
        assert ours not in raw
    assert raw.count(b"x-request-id") == 1
    record = stage.cluster.records[-1]
    assert (record.answered_by, record.error, record.status) == ("store", "", 403)


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_dropped_with_the_connection_it_came_on(stage: Stage, name: str) -> None:
    before = len(stage.store.connections)
    broken = await stage.ask(BROKEN[name])
    assert (broken.status, broken.error_name) == (502, "store_bad_response")
    assert b"outcome: unknown" not in broken.body
    good = await stage.ask(ok())
    assert good.status == 200
    assert len(stage.store.connections) >= before + 1, "the connection was not used again"
    assert stage.cluster.records[-1].answered_by == "store"


async def test_a_broken_answer_to_a_write_leaves_its_outcome_unknown(stage: Stage) -> None:
    broken = await stage.ask(BROKEN["length-and-chunked"], "DELETE")
    assert broken.error_name == "store_bad_response"
    assert b"outcome: unknown" in broken.body


async def test_bytes_after_an_answer_end_the_connection_to_the_store(stage: Stage) -> None:
    """Response splitting: what nobody asked for must not answer the next request."""
    poisoned = await stage.ask(ok(b"one") + ok(b"poison"))
    assert poisoned.body == b"one"
    assert (await stage.ask(ok(b"two"))).body == b"two"
