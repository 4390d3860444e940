"""Framing and limits of the control channel, without SSH."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tunnel.control import MESSAGES_BURST, ControlCallbacks, ControlStream
from agent.tunnel.messages import LINE_MAX_BYTES, Bye, Heartbeat, Message


class Wire:
    """The channel under the stream, and its owner."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.broken: list[str] = []
        self.written = b""
        self.now = 0.0
        self.stream = ControlStream(self.messages.append, self.broken.append, lambda: self.now)
        self.stream.attach(self)

    def write(self, data: bytes) -> None:
        self.written += data


@given(st.lists(st.integers(0, 1000), max_size=20), st.data())
def test_lines_may_be_cut_anywhere(numbers: list[int], data: st.DataObject) -> None:
    wire = Wire()
    raw = b"".join(Heartbeat(sequence=number).encode() for number in numbers)
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        wire.stream.feed(raw[:size])
        raw = raw[size:]
    assert wire.messages == [Heartbeat(sequence=number) for number in numbers]
    assert not wire.broken


def test_the_longest_line_passes_and_one_more_byte_does_not() -> None:
    longest = b'{"type":"new","filler":"' + b"x" * (LINE_MAX_BYTES - 1 - 26) + b'"}'
    assert len(longest) + 1 == LINE_MAX_BYTES
    wire = Wire()
    wire.stream.feed(longest + b"\n" + Heartbeat().encode())
    assert wire.messages == [Heartbeat()]
    wire = Wire()
    wire.stream.feed(longest[:-2] + b'x"}\n' + Heartbeat().encode())
    assert wire.broken
    assert not wire.messages


def test_an_endless_line_is_cut_before_its_end() -> None:
    wire = Wire()
    for _ in range(1000):
        wire.stream.feed(b"x" * 1000)
    assert len(wire.broken) == 1
    assert len(wire.stream._buffer) == 0


def test_after_a_wrong_line_nothing_is_read() -> None:
    wire = Wire()
    wire.stream.feed(b"garbage\n" + Heartbeat().encode())
    wire.stream.feed(Heartbeat().encode())
    assert len(wire.broken) == 1
    assert not wire.messages


def test_after_close_nothing_is_read_or_written() -> None:
    wire = Wire()

    def on_message(message: Message) -> None:
        wire.messages.append(message)
        stream.close()

    stream = ControlStream(on_message, wire.broken.append)
    stream.attach(wire)
    stream.feed(Heartbeat().encode() * 3)
    assert len(wire.messages) == 1
    assert not stream.send(Bye())
    assert wire.written == b""


def test_a_flood_is_cut_and_normal_talk_is_not() -> None:
    wire = Wire()
    for _ in range(10 * MESSAGES_BURST):
        wire.now += 1
        wire.stream.feed(Heartbeat().encode())
    assert not wire.broken
    wire.stream.feed(Heartbeat().encode() * (2 * MESSAGES_BURST))
    assert wire.broken == ["The control channel is flooded with messages."]


def test_unknown_messages_count_in_a_flood() -> None:
    wire = Wire()
    wire.stream.feed(b'{"type":"x"}\n' * (2 * MESSAGES_BURST))
    assert len(wire.broken) == 1


def test_a_defect_in_the_handler_is_not_raised_into_the_library() -> None:
    broken: list[str] = []

    def on_message(message: Message) -> None:
        raise KeyError("a defect")

    ControlStream(on_message, broken.append).feed(Heartbeat().encode())
    assert broken == ["This side failed at a control message."]


def test_a_peer_that_does_not_read_is_cut() -> None:
    wire = Wire()
    callbacks = ControlCallbacks(wire.stream)
    callbacks.pause_writing()
    assert wire.broken == ["The control channel is not read by the other side."]


def test_what_comes_on_another_stream_is_ignored() -> None:
    wire = Wire()
    ControlCallbacks(wire.stream).data_received(Heartbeat().encode(), 1)
    assert not wire.messages
    assert not wire.broken


async def test_a_closed_channel_is_told_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.tunnel.control.CLOSE_GRACE_S", 0.01)
    told = asyncio.Event()
    stream = ControlStream(lambda _: None, lambda _: told.set())
    ControlCallbacks(stream).connection_lost(None)
    assert not told.is_set()
    await asyncio.wait_for(told.wait(), 5)


def test_writing_to_a_channel_that_just_closed_is_no_error() -> None:
    class Closed:
        def write(self, data: bytes) -> None:
            raise BrokenPipeError("Channel not open for sending")

    stream = ControlStream(lambda _: None, lambda _: None)
    stream.attach(Closed())
    assert not stream.send(Heartbeat())
