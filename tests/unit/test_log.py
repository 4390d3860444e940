"""Log events: both forms, levels, stdlib records, and what is never shown."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from agent.log import REDACTED, configure_logging

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("asyncssh").setLevel(logging.NOTSET)


def json_line(stream: io.StringIO) -> dict[str, Any]:
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1, lines
    event = json.loads(lines[0])
    assert isinstance(event, dict)
    return event


def test_json_is_one_object_per_line_with_time_level_and_event() -> None:
    out = io.StringIO()
    configure_logging("info", json=None, stream=out)
    structlog.get_logger().info("tunnel.ready", index=1, host="a\nb", pins=("x",), path=object)
    event = json_line(out)
    assert list(event)[:3] == ["time", "level", "event"]
    assert event["time"].endswith("Z")
    assert (event["level"], event["event"], event["index"], event["host"]) == ("info", "tunnel.ready", 1, "a\nb")


def test_text_is_one_line_with_values_that_cannot_forge_another() -> None:
    out = io.StringIO()
    configure_logging("info", json=False, stream=out)
    structlog.get_logger().warning("peer.said", text='a "b"\n2026 info forged\x1b[2J', plain="value", empty="", n=3)
    assert len(out.getvalue().splitlines()) == 1
    line = out.getvalue().rstrip("\n")
    time, level, name, rest = line.split(maxsplit=3)
    assert time.endswith("Z")
    assert (level, name) == ("warning", "peer.said")
    assert rest == 'text="a \\"b\\"\\n2026 info forged\\x1b[2J" plain=value empty="" n=3'


@pytest.mark.parametrize(
    ("variable", "value", "coloured"), [("", "", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)]
)
def test_a_terminal_gets_text_in_colour_unless_it_says_no(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, coloured: bool
) -> None:
    if variable:
        monkeypatch.setenv(variable, value)
    out = Terminal()
    configure_logging("info", stream=out)
    structlog.get_logger().info("a.b", key="value")
    assert ("\x1b[" in out.getvalue()) is coloured
    assert "a.b" in out.getvalue()


def test_json_on_a_terminal_when_asked_for() -> None:
    out = Terminal()
    configure_logging("info", json=True, stream=out)
    structlog.get_logger().info("a.b")
    assert json_line(out)["event"] == "a.b"


def test_events_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    configure_logging("warning", json=True, stream=out)
    log = structlog.get_logger()
    log.info("a.b")
    log.debug("a.b")
    assert out.getvalue() == ""
    log.error("a.c")
    assert json_line(out)["event"] == "a.c"


@pytest.mark.parametrize("json_form", [True, False])
def test_stdlib_records_take_the_same_way(json_form: bool) -> None:
    out = io.StringIO()
    configure_logging("debug", json=json_form, stream=out)
    logging.getLogger("other.library").warning("it has %s and password=%s", "text", SECRET)
    logging.getLogger("other.library").info("unheard")
    assert "other.library" in out.getvalue()
    assert "it has text and" in out.getvalue()
    assert SECRET not in out.getvalue()
    assert "unheard" not in out.getvalue()


def test_asyncssh_is_heard_from_warning_on_even_at_level_debug() -> None:
    out = io.StringIO()
    configure_logging("debug", json=True, stream=out)
    logging.getLogger("asyncssh").debug("password %s", SECRET)
    logging.getLogger("asyncssh.connection").info("connected")
    assert out.getvalue() == ""
    logging.getLogger("asyncssh").warning("odd")
    assert json_line(out)["event"] == "asyncssh"


def test_warnings_are_events() -> None:
    out = io.StringIO()
    configure_logging("info", json=True, stream=out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", stacklevel=1)
    assert json_line(out)["event"] == "py.warnings"


@pytest.mark.parametrize("json_form", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        {"secret": SECRET},
        {"access_token": SECRET},
        {"api_key": SECRET},
        {"api-key": SECRET},
        {"client_key": SECRET},
        {"ws_key": SECRET},
        {"password": SECRET},
        {"Authorization": SECRET},
        {"Set-Cookie": SECRET},
        {"fields": {"Cookie": SECRET, "deeper": {"token": SECRET}}},
        {"target": f"/api/products?ws_key={SECRET}&limit=1"},
        {"text": f"Authorization: Basic {SECRET}"},
        {"text": f"bearer {SECRET}"},
        {"url": f"https://h/admin/index.php?controller=A&token={SECRET}"},
        {"url": f"https://h/admin/sell/orders?_token={SECRET}"},
    ],
)
def test_secrets_are_redacted_by_name_and_by_wording(fields: dict[str, Any], json_form: bool) -> None:
    out = io.StringIO()
    configure_logging("info", json=json_form, stream=out)
    structlog.get_logger().info("a.b", **fields)
    assert SECRET not in out.getvalue()
    assert REDACTED in out.getvalue()


@pytest.mark.parametrize("name", ["token_file", "key_id", "secrets_seen", "monkey", "tokens_left"])
def test_harmless_fields_are_left_alone(name: str) -> None:
    out = io.StringIO()
    configure_logging("info", json=True, stream=out)
    structlog.get_logger().info("a.b", **{name: "plain"})
    assert json_line(out)[name] == "plain"


def fail() -> None:
    raise RuntimeError(f"password={SECRET}")


def test_an_exception_is_a_field_in_json_and_a_place_in_text() -> None:
    out = io.StringIO()
    configure_logging("info", json=True, stream=out)
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().error("task.failed", exc_info=True)
    event = json_line(out)
    assert event["error"] == "RuntimeError"
    assert "in fail" in event["traceback"]
    assert SECRET not in out.getvalue()

    for level, traceback_shown in (("info", False), ("debug", True)):
        out = io.StringIO()
        configure_logging(level, json=False, stream=out)
        try:
            fail()
        except RuntimeError as error:
            structlog.get_logger().error("task.failed", exc_info=error)
        assert "error=RuntimeError" in out.getvalue()
        assert "test_log.py:" in out.getvalue()
        assert ("Traceback" in out.getvalue()) is traceback_shown
        assert SECRET not in out.getvalue()


def test_a_closed_stream_stops_nothing() -> None:
    out = io.StringIO()
    configure_logging("info", json=True, stream=out)
    log = structlog.get_logger()
    out.close()
    log.info("a.b")
