"""The agent's own pages over HTTP: /livez, /readyz, /metrics. From a request's bytes to an answer's; no I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog

from agent.errors import MessageError
from agent.http1 import RequestHead, parse_request_head
from agent.readiness import why_not_alive, why_not_ready

HEAD_MAX_BYTES: Final = 8192
TEXT: Final = "text/plain; charset=utf-8"

_LOOKS_LIKE_HTTP: Final = re.compile(rb"[A-Z]")  # commands of the socket are JSON objects
_PAGES: Final = ("/livez", "/metrics", "/readyz")

_log = structlog.get_logger("agent")

Page = tuple[HTTPStatus, str, bytes]


def is_http(received: bytes | bytearray) -> bool:
    """True when what came is the beginning of a request, and no command of the socket."""
    return _LOOKS_LIKE_HTTP.match(received) is not None


class LocalHttp:
    """Answers one request and means the connection to be closed then.

    ``report`` gives the status report, ``scrape`` takes ``Accept`` and gives content type and body of the metrics.
    """

    def __init__(self, report: Callable[[], Mapping[str, Any]], scrape: Callable[[str], tuple[str, bytes]]) -> None:
        self._report = report
        self._scrape = scrape

    def answer(self, received: bytes | bytearray, hosts: Collection[str] | None = None) -> bytes | None:
        """The answer to what came so far; None: there is more to come.

        ``hosts`` are the names by which the asker may call this machine, besides addresses; None: it may say anything.
        """
        end = received.find(b"\r\n\r\n")
        if end < 0 and len(received) <= HEAD_MAX_BYTES:
            return None
        if not 0 <= end <= HEAD_MAX_BYTES - 4:
            return _written(_plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"over {HEAD_MAX_BYTES} bytes"), "GET")
        try:
            head = parse_request_head(bytes(received[: end + 4]))
        except MessageError as error:
            return _written(_plain(HTTPStatus.BAD_REQUEST, error.detail), "GET")
        try:
            page = self._page(head, hosts)
        except Exception as error:  # noqa: BLE001 - a defect in one page must not end the agent
            _log.error("http.failed", error=type(error).__name__, exc_info=error)
            page = _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "The agent failed at this page, by a defect: see its log.")
        return _written(page, head.method.decode("ascii"))

    def _page(self, head: RequestHead, hosts: Collection[str] | None) -> Page:
        host = (head.get(b"host") or b"").decode("latin-1")
        if hosts is not None and not _is_ours(host, hosts):
            # A page in a browser on this network may have its own name point here, and read what it gets.
            return _plain(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This name is not known here: add it to hosts in [metrics], or ask by address.",
            )
        path = head.target.partition(b"?")[0].decode("latin-1")
        if path not in _PAGES:
            return _plain(HTTPStatus.NOT_FOUND, f"There is {', '.join(_PAGES)}.")
        if head.method not in (b"GET", b"HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD.")
        if path == "/metrics":
            content_type, body = self._scrape((head.get(b"accept") or b"").decode("latin-1"))
            return HTTPStatus.OK, content_type, body
        reason = (why_not_alive if path == "/livez" else why_not_ready)(self._report())
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, reason) if reason else _plain(HTTPStatus.OK, "ok")


def _is_ours(host: str, hosts: Collection[str]) -> bool:
    """An address is nobody's name, so that no page of somebody else's can come by it."""
    name = re.sub(r":[0-9]*\Z", "", host).lower().removesuffix(".")
    if name in hosts:
        return True
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True


def _plain(status: HTTPStatus, sentence: str) -> Page:
    return status, TEXT, f"{sentence}\n".encode()


def _written(page: Page, method: str) -> bytes:
    status, content_type, body = page
    allow = "Allow: GET, HEAD\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"{allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if method == "HEAD" else body)
