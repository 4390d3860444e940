"""The gateway in mode Cloud: who may ask, and what the others are told."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import AsyncIterator

import pytest

from agent.policy import METHODS, Rule
from agent.server.routes import KeyGrant
from tests.kit.asking import KEY, request
from tests.kit.cluster import CLIENT_KEY, Cluster, Link, loopback_store
from tests.kit.raw_client import RawClient, basic
from tests.kit.scripted_store import ScriptedStore


@pytest.fixture
async def cluster(store: ScriptedStore) -> AsyncIterator[Cluster]:
    async with Cluster([Link("lyon", loopback_store(store.port, base_path="/shop/"))], mode="cloud") as running:
        yield running


def grant(**changes: object) -> KeyGrant:
    values: dict[str, object] = {
        "key_id": "key-1",
        "sha256": hashlib.sha256(CLIENT_KEY.encode()).digest(),
        "connection_ids": None,
    }
    return KeyGrant(**{**values, **changes})  # type: ignore[arg-type]  # any of its fields


def regrant(cluster: Cluster, *grants: KeyGrant) -> None:
    cluster.table.replace([link.route("cloud") for link in cluster.links], grants)


def without_id(raw: bytes) -> bytes:
    return re.sub(rb"X-Request-Id: [0-9a-f]{16}\r\n", b"", raw)


async def test_401_is_the_same_for_every_reason(store: ScriptedStore, cluster: Cluster) -> None:
    regrant(
        cluster,
        grant(),
        grant(key_id="old", sha256=hashlib.sha256(b"EXPIRED").digest(), expires_at=time.time() - 1),
        grant(key_id="else", sha256=hashlib.sha256(b"ELSEWHERE").digest(), connection_ids=frozenset({"other"})),
    )
    asked = [
        request(b"/lyon/api/products", b""),
        request(b"/lyon/api/products", basic("WRONG")),
        request(b"/lyom/api/products", KEY),
        request(b"/lyom/api/products", basic("WRONG")),
        request(b"/lyon/api/products", basic("EXPIRED")),
        request(b"/lyon/api/products", basic("ELSEWHERE")),
        request(b"/lyon/api/products", KEY + KEY),
        request(b"/", KEY),
        request(b"/lyon/api/products?ws_key=" + CLIENT_KEY.encode(), basic("WRONG")),
    ]
    async with cluster.client() as client:
        answers = [await client.ask(raw) for raw in asked]
    assert {answer.status for answer in answers} == {401}
    assert len({without_id(answer.raw) for answer in answers}) == 1
    assert len({answer.raw for answer in answers}) == len(answers)
    assert answers[0].field("WWW-Authenticate") == (
        'Basic realm="Welcome to PrestaShop Webservice, please enter the client key as the login"'
    )
    assert answers[0].error_name == "client_key_invalid"
    assert store.connections == []
    assert {(record.connection, record.key_id, record.answered_by) for record in cluster.records} == {
        ("", "", "gateway")
    }


async def test_a_revoked_key_ends_with_the_next_request(cluster: Cluster, client: RawClient) -> None:
    assert (await client.ask(request())).status == 200
    regrant(cluster)
    assert (await client.ask(request())).status == 401
    regrant(cluster, grant())
    assert (await client.ask(request())).status == 200
    regrant(cluster, grant(connection_ids=frozenset({"other"})))
    assert (await client.ask(request())).status == 401


async def test_an_expiring_key(cluster: Cluster, client: RawClient) -> None:
    regrant(cluster, grant(expires_at=time.time() + 60))
    assert (await client.ask(request())).status == 200
    regrant(cluster, grant(expires_at=time.time()))
    assert (await client.ask(request())).status == 401


async def test_what_a_key_or_a_connection_does_not_open(store: ScriptedStore) -> None:
    value = loopback_store(store.port)
    link = Link("lyon", value, rule=Rule(value, frozenset(METHODS) - {"DELETE"}, frozenset({"products", "images"})))
    async with Cluster([link], mode="cloud") as cluster, cluster.client() as client:
        regrant(cluster, grant(methods=frozenset({"GET", "POST", "DELETE"})))
        for method, target, name in [
            (b"DELETE", b"/lyon/api/products/1", "scope_denied"),
            (b"PUT", b"/lyon/api/products/1", "scope_denied"),
            (b"GET", b"/lyon/api/orders", "scope_denied"),
            (b"POST", b"/lyon/api/images/products/1?ps_method=PUT", "scope_denied"),
            (b"GET", b"/lyon/api/products?ps_method=DELETE", "policy_denied"),
            (b"GET", b"/lyon/api/products?url=orders", "policy_denied"),
            (b"GET", b"/lyon/api/products/..%2forders", "policy_denied"),
            (b"OPTIONS", b"/lyon/api/products", "policy_denied"),
            (b"GET", b"/lyon/index.php", "policy_denied"),
        ]:
            answer = await client.ask(request(target, method=method))
            assert (answer.status, answer.error_name) == (403, name), (method, target)
        assert store.connections == []
        assert (await client.ask(request(b"/lyon/api/products/1"))).status == 200
        assert (await client.ask(request(b"/lyon/api/products", method=b"POST", body=b"<x/>"))).status == 200
        assert [record.answered_by for record in cluster.records] == ["gateway"] * 9 + ["store"] * 2
        assert {record.key_id for record in cluster.records} == {"key-1"}


async def test_a_disabled_connection(store: ScriptedStore, cluster: Cluster, client: RawClient) -> None:
    enabled = cluster.links[0].route("cloud")
    disabled = type(enabled)(
        **{
            name: getattr(enabled, name)
            for name in enabled.__dataclass_fields__
            if enabled.__dataclass_fields__[name].init
        }
        | {"enabled": False}
    )
    cluster.table.replace([disabled], [grant()])
    answer = await client.ask(request())
    assert (answer.status, answer.error_name) == (403, "connection_disabled")
    assert (await client.ask(request(fields=basic("WRONG")))).status == 401
    cluster.table.replace([enabled], [grant()])
    assert (await client.ask(request())).status == 200


async def test_errors_come_in_json_where_it_was_asked_for(client: RawClient) -> None:
    for target, fields in (
        (b"/lyon/api/x?url=y&output_format=JSON", KEY),
        (b"/lyon/api/x?url=y", KEY + b"Output-Format: JSON\r\n"),
    ):
        answer = await client.ask(request(target, fields))
        assert answer.field("Content-Type") == "application/json"
        assert answer.body.startswith(b'{"errors": [{"code": 9003, "message": "policy_denied: ')
