"""The tables in memory, swapped as a whole."""

from __future__ import annotations

import hashlib

import pytest

from agent.policy import METHODS, Rule
from agent.server.routes import KeyGrant, RoutingTable
from agent.store_url import parse_store
from tests.unit.server_plane.test_order import KEY, NOW, route, table_of


def grant(key: str, **changes: object) -> KeyGrant:
    values: dict[str, object] = {"key_id": key, "sha256": hashlib.sha256(key.encode()).digest(), "connection_ids": None}
    return KeyGrant(**{**values, **changes})  # type: ignore[arg-type]  # any of its fields


def test_replace_forgets_everything_before_it() -> None:
    table = RoutingTable()
    table.replace([route("a"), route("b")], [grant("one"), grant("two")])
    assert table.find(b"a", b"one", NOW) is not None
    assert table.find(b"b", b"two", NOW) is not None
    table.replace([route("b")], [grant("two")])
    assert table.find(b"a", b"two", NOW) is None
    assert table.find(b"b", b"one", NOW) is None
    assert table.find(b"b", b"two", NOW) is not None
    assert table.route("id-a") is None
    assert table.route("id-b") is not None
    assert repr(table) == "<RoutingTable 1 connections, 1 keys>"


def test_a_key_and_its_hash_are_not_the_same() -> None:
    table = table_of(route())
    assert table.find(b"lyon", hashlib.sha256(KEY.encode()).digest(), NOW) is None
    assert table.find(b"lyon", hashlib.sha256(KEY.encode()).hexdigest().encode(), NOW) is None
    assert table.find(b"lyon", b"", NOW) is None
    assert table.find(b"lyon", None, NOW) is None


def test_a_key_narrows_the_connection_and_never_widens_it() -> None:
    table = RoutingTable()
    store = parse_store("https://shop.example/")
    reads = route("reads", store=store, rule=Rule(store, frozenset({"GET", "HEAD"}), frozenset({"products"})))
    table.replace([reads], [grant("all", methods=frozenset(METHODS)), grant("none", methods=frozenset()), grant("any")])
    rules = {}
    for key in (b"all", b"none", b"any"):
        found = table.find(b"reads", key, NOW)
        assert found is not None
        rules[key] = table.rule_of(*found)
        assert table.rule_of(*found) is rules[key], "kept, since this is asked for each request"
    assert rules[b"all"] == reads.rule
    assert rules[b"none"].methods == frozenset()
    assert rules[b"any"] is reads.rule


def test_narrowed_rules_do_not_outlive_a_replace() -> None:
    table = RoutingTable()
    limited = [grant("key", methods=frozenset({"GET", "DELETE"}))]
    table.replace([route("a")], limited)
    found = table.find(b"a", b"key", NOW)
    assert found is not None
    assert table.rule_of(*found).methods == {"GET", "DELETE"}
    before = route("a")
    table.replace([route("a", rule=Rule(before.store, frozenset({"GET"})))], limited)
    found = table.find(b"a", b"key", NOW)
    assert found is not None
    assert table.rule_of(*found).methods == {"GET"}


OTHER_STORE = parse_store("https://other.example/")
READS = frozenset({"GET", "HEAD"})


@pytest.mark.parametrize(
    ("changes", "key_changes", "open_still"),
    [
        ({}, {}, True),
        ({"slug": "renamed", "name": "Renamed", "concurrency": 2}, {"key_id": "renamed"}, True),
        ({}, {"methods": frozenset(METHODS), "connection_ids": frozenset({"id-a"})}, True),
        ({"connection_id": "another"}, {}, False),
        ({"enabled": False}, {}, False),
        ({"store": OTHER_STORE}, {}, False),
        ({"api_key": "changed"}, {}, False),
        ({"key_in": "ws_key"}, {}, False),
        ({"shop_host": "inside.example"}, {}, False),
        ({"mode": "on-premise", "agent_id": "one"}, {}, False),
        ({"rule": Rule(route().store, READS)}, {}, False),
        ({}, {"sha256": b"another"}, False),
        ({}, {"connection_ids": frozenset({"id-b"})}, False),
        ({}, {"expires_at": NOW}, False),
        ({}, {"methods": READS}, False),
    ],
)
def test_what_was_found_before_is_compared_by_its_values(
    changes: dict[str, object], key_changes: dict[str, object], open_still: bool
) -> None:
    table = RoutingTable()
    before, key = route("a"), grant("key", methods=frozenset({"GET", "PUT"}))
    table.replace([before], [key])
    assert table.still_open(before, key, NOW)
    table.replace(
        [route(**{"slug": "a", "connection_id": "id-a", **changes})],  # type: ignore[arg-type]  # any of its fields
        [grant("key", **{"methods": key.methods, **key_changes})],
    )
    assert table.still_open(before, key, NOW) is open_still


def test_a_key_that_has_expired_since_opens_nothing() -> None:
    table = RoutingTable()
    before, key = route("a"), grant("key", expires_at=NOW + 1)
    table.replace([before], [key])
    assert table.still_open(before, key, NOW)
    assert not table.still_open(before, key, NOW + 1)
