"""Messages of the control channel: bounds, unknown types and fields, and text that could harm a terminal."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.policy import METHODS, Rule
from agent.store_url import make_store
from agent.tunnel.messages import (
    LINE_MAX_BYTES,
    STORES_MAX,
    Bye,
    ControlError,
    Drain,
    Goodbye,
    Grant,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Measure,
    MeasureAck,
    Message,
    Welcome,
    decode,
)
from agent.tunnel.probe_messages import PADDING_MAX_CHARS
from agent.tunnel.text import printable

RULES = [
    Rule(make_store("https", "shop.example.com", 443, "/")),
    Rule(make_store("http", "10.0.0.5", 8080, "/shop/", "fr/", "2"), frozenset(METHODS), frozenset({"products"})),
    Rule(make_store("http", "2001:db8::1", 80, "/a/b/", id_shop="all"), frozenset({"GET"}), frozenset()),
]


@pytest.mark.parametrize("rule", RULES)
def test_a_grant_gives_back_the_rule(rule: Rule) -> None:
    assert Grant.from_rule(rule).to_rule() == rule


@pytest.mark.parametrize(
    "message",
    [
        Hello(version="1", instance_id="i", nonce="ab" * 16, stores=[Grant.from_rule(rule) for rule in RULES]),
        Hello(version="1", instance_id="i", kind="probe"),
        Welcome(version="2", next_pins=["SHA256:x"]),
        Heartbeat(sequence=7),
        HeartbeatAck(sequence=7),
        Welcome(unix_time_s=1.8e9),
        Measure(sequence=1, padding="0" * PADDING_MAX_CHARS),
        MeasureAck(sequence=1),
        Drain(ack=True),
        Drain(reason="restart", retry_after_s=3),
        Bye(code="place_taken", reason="held"),
    ],
)
def test_round_trip(message: Message) -> None:
    line = message.encode()
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert decode(line[:-1]) == message


def test_unknown_types_and_fields_are_ignored() -> None:
    assert decode(b'{"type":"dance","target":"x"}') is None
    assert decode(b'{"type":"heartbeat","sequence":3,"new_field":{"a":[1]}}') == Heartbeat(sequence=3)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"[]",
        b"1",
        b"null",
        b'"hello"',
        b"{}",
        b'{"type":1}',
        b'{"type":null}',
        b'{"type":"hello"',
        b'\xff\xfe{"type":"hello"}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"type":"heartbeat","sequence":-1}',
        b'{"type":"heartbeat","sequence":"1"}',
        b'{"type":"heartbeat","sequence":1.5}',
        b'{"type":"heartbeat","sequence":99999999999999999999999999}',
        b'{"type":"bye","retry_after_s":NaN}',
        b'{"type":"bye","retry_after_s":Infinity}',
        b'{"type":"bye","retry_after_s":-1}',
        b'{"type":"bye","code":7}',
        b'{"type":"drain","ack":"yes"}',
        b'{"type":"welcome","unix_time_s":1e300}',
        b'{"type":"measure","sequence":1,"padding":7}',
        b'{"type":"measure","sequence":1,"padding":"' + b"0" * (PADDING_MAX_CHARS + 1) + b'"}',
        b'{"type":"welcome","protocol":0}',
        b'{"type":"hello","version":"1"}',
        b'{"type":"hello","version":"1","instance_id":"a b"}',
        b'{"type":"hello","version":"1","instance_id":"a\\n"}',
        b'{"type":"hello","version":"1","instance_id":"i","tunnel_index":8}',
        b'{"type":"hello","version":"1","instance_id":"i","kind":"admin"}',
        b'{"type":"hello","version":"1","instance_id":"i","nonce":"short"}',
        b'{"type":"hello","version":"1","instance_id":"i","nonce":"' + b"\\r\\n" * 16 + b'"}',
        b'{"type":"hello","version":"1","instance_id":"i","host":"' + b"h" * 256 + b'"}',
    ],
)
def test_hostile_lines_are_refused_in_a_sentence(line: bytes) -> None:
    with pytest.raises(ControlError) as caught:
        decode(line)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"scheme": "ftp"},
        {"host": "Shop.Example.com"},
        {"host": "shop.example.com."},
        {"host": "[2001:db8::1]"},
        {"host": "a b"},
        {"host": ""},
        {"port": 0},
        {"port": 65536},
        {"port": "80"},
        {"port": True},
        {"base_path": "shop/"},
        {"base_path": "/shop"},
        {"base_path": "/../"},
        {"base_path": "/a%2f/"},
        {"base_path": "/api/"},
        {"virtual_uri": "/fr/"},
        {"id_shop": "1 or 1"},
        {"methods": ["TRACE"]},
        {"methods": ["get"]},
        {"methods": "GET"},
        {"resources": ["a/b"]},
        {"resources": ["x"] * 2 + [""]},
        {"resources": [f"r{n}" for n in range(300)]},
    ],
)
def test_a_grant_with_a_wrong_field_is_refused(wrong: dict[str, object]) -> None:
    grant = {
        "scheme": "https",
        "host": "shop.example.com",
        "port": 443,
        "base_path": "/",
        "methods": ["GET"],
        "resources": None,
    }
    hello = {"type": "hello", "version": "1", "instance_id": "i", "stores": [grant]}
    assert decode(json.dumps(hello).encode()) is not None
    hello["stores"] = [{**grant, **wrong}]
    with pytest.raises(ControlError, match="hello"):
        decode(json.dumps(hello).encode())


def test_too_many_stores_are_refused_on_both_sides() -> None:
    grants = [Grant.from_rule(RULES[0])] * (STORES_MAX + 1)
    with pytest.raises(ValueError, match="stores"):
        Hello(version="1", instance_id="i", stores=grants)
    ordinary = [Grant.from_rule(RULES[0])] * STORES_MAX
    assert len(Hello(version="1", instance_id="i", stores=ordinary).encode()) < LINE_MAX_BYTES
    long = [Grant.from_rule(Rule(make_store("http", "shop.test", 80, f"/{'x' * 200}/")))] * STORES_MAX
    with pytest.raises(ControlError, match="fewer stores"):
        Hello(version="1", instance_id="i", stores=long).encode()


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(line: bytes) -> None:
    with contextlib.suppress(ControlError):
        decode(line)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(["hello", "welcome", "heartbeat", "heartbeat_ack", "drain", "bye"]),
)
def test_any_object_decodes_or_is_refused(content: object, kind: str) -> None:
    fields = content if isinstance(content, dict) else {"sequence": content, "reason": content, "stores": content}
    try:
        message = decode(json.dumps({**fields, "type": kind}).encode())
    except ControlError:
        return
    assert message is not None
    assert len(message.encode()) <= LINE_MAX_BYTES


def test_hints_are_clamped() -> None:
    assert Bye(retry_after_s=1e6).hint_s == 300
    assert Drain(retry_after_s=2).hint_s == 2
    assert Bye().hint_s is None
    assert Welcome(heartbeat_interval_s=0).interval_s == 0.25
    assert Welcome(heartbeat_interval_s=1e6).interval_s == 60


def test_a_heartbeat_carries_a_round_trip_or_none() -> None:
    assert decode(Heartbeat.with_round_trip(3, 0.25).encode()[:-1]) == Heartbeat(sequence=3, round_trip_s=0.25)
    assert decode(Heartbeat.with_round_trip(3, None).encode()[:-1]) == Heartbeat(sequence=3)
    assert Heartbeat.with_round_trip(3, 1e9).round_trip_s == 3600
    assert decode(b'{"type":"heartbeat","sequence":3}') == Heartbeat(sequence=3)  # a peer that does not know it
    for value in (b"-1", b"3601", b"NaN", b'"1"'):
        with pytest.raises(ControlError):
            decode(b'{"type":"heartbeat","sequence":3,"round_trip_s":' + value + b"}")


def test_unknown_goodbyes_are_other() -> None:
    assert Bye(code="brand_new").goodbye is Goodbye.OTHER
    assert Bye(code="revoked").goodbye is Goodbye.REVOKED


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, déjà vu", "plain text, déjà vu"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x1b[2Jclear", "\\x1b[2Jclear"),
        ("right\u202eleft", "right\\u202eleft"),
        ("back\\slash", "back\\\\slash"),
        ("nul\x00\x7f\x9b", "nul\\x00\\x7f\\x9b"),
        ("\ud800", "\\ud800"),
        ("x" * 300, "x" * 200 + "..."),
    ],
)
def test_text_of_the_other_side_is_shown_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_shown_text_is_one_short_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable() or shown == ""
    assert len(shown) <= 203
