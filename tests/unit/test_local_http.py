"""The agent's pages, from bytes to bytes: statuses, bounds, and who may ask over TCP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent.local_http import HEAD_MAX_BYTES, LocalHttp, is_http

READY = {"state": "ready", "is_alive": True, "tunnels": []}
HOSTS = {"localhost", "agent.example.com"}


def pages(report: Mapping[str, Any] = READY) -> LocalHttp:
    return LocalHttp(lambda: report, lambda accept: ("text/x", f"accept={accept}".encode()))


def asked(start: str, *fields: str, host: str = "localhost", http: LocalHttp | None = None, tcp: bool = False) -> bytes:
    head = "\r\n".join((f"{start} HTTP/1.1", f"Host: {host}", *fields, "", "")).encode()
    answer = (http or pages()).answer(head, HOSTS if tcp else None)
    assert answer is not None
    assert b"\r\nConnection: close\r\n" in answer
    return answer


def status_of(answer: bytes | None) -> int:
    assert answer is not None
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("GET /livez", 200),
        ("GET /readyz?verbose", 200),
        ("GET /metrics", 200),
        ("GET /", 404),
        ("GET /metrics/", 404),
        ("POST /metrics", 405),
        ("DELETE /readyz", 405),
        ("GET  /metrics", 400),
    ],
)
def test_statuses(start: str, status: int) -> None:
    assert status_of(asked(start)) == status


def test_head_has_the_length_and_no_body() -> None:
    whole, head = asked("GET /metrics", "Accept: a/b"), asked("HEAD /metrics", "Accept: a/b")
    assert whole == head + b"accept=a/b"
    assert b"\r\nContent-Length: 10\r\n" in head


@pytest.mark.parametrize(
    ("report", "live", "ready", "words"),
    [
        (READY, 200, 200, b"ok"),
        ({**READY, "state": "starting"}, 200, 503, b"is starting"),
        ({**READY, "state": "draining"}, 200, 503, b"is stopping"),
        ({**READY, "state": "connecting", "tunnels": [{"last_ending": None}]}, 200, 503, b"connecting: "),
        ({**READY, "state": "refused", "tunnels": [{"last_ending": {"reason": "revoked"}}]}, 200, 503, b"(revoked)"),
        ({**READY, "state": "connecting", "is_alive": False}, 503, 503, b"connecting: "),
    ],
)
def test_probes_say_why(report: dict[str, Any], live: int, ready: int, words: bytes) -> None:
    assert status_of(asked("GET /livez", http=pages(report))) == live
    answer = asked("GET /readyz", http=pages(report))
    assert (status_of(answer), words in answer) == (ready, True)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9464", 200),
        ("AGENT.example.com.:9464", 200),
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("192.0.2.7", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:80", 421),
    ],
)
def test_a_name_of_somebody_else_is_refused_over_tcp(host: str, status: int) -> None:
    assert status_of(asked("GET /metrics", host=host, tcp=True)) == status
    assert status_of(asked("GET /metrics", host=host)) == 200  # no browser comes by the socket


def test_a_head_is_waited_for_and_has_a_bound() -> None:
    http = pages()
    assert http.answer(b"GET /livez HTTP/1.1\r\nHost: x\r\n") is None
    assert status_of(http.answer(b"GET /livez HTTP/1.1\r\nA: " + b"x" * HEAD_MAX_BYTES)) == 431
    long = b"GET /livez HTTP/1.1\r\nHost: x\r\nA: " + b"x" * HEAD_MAX_BYTES + b"\r\n\r\n"
    assert status_of(http.answer(long)) == 431


def test_a_defect_is_one_answer() -> None:
    def fail(_accept: str) -> tuple[str, bytes]:
        raise ZeroDivisionError("s3cret")

    answer = asked("GET /metrics", http=LocalHttp(lambda: READY, fail))
    assert (status_of(answer), b"s3cret" in answer, b"ZeroDivision" in answer) == (500, False, False)


def test_commands_are_no_http() -> None:
    assert is_http(b"GET ")
    assert is_http(bytearray(b"P"))
    assert not is_http(b'{"command":"status"}')
    assert not is_http(b"")
    assert not is_http(b"\x16\x03")
