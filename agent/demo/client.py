"""A plain HTTP client for the gateway, as any integration has one: the standard library's, nothing of this product."""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import time
from dataclasses import dataclass
from typing import Final

from agent.demo.failure import DemoError

TIMEOUT_S: Final = 30.0

# RFC 9209: "integration-server; error=http_request_denied; details="policy_denied""
_PROXY_STATUS: Final = re.compile(r'\s*([A-Za-z0-9-]+)\s*;.*details="([a-z_]+)"')


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. ``target`` is the path and query at the gateway; ``key`` None is the client's own key."""

    method: str
    target: str
    body: bytes = b""
    content_type: str = ""
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. ``refused_by`` and ``error_name`` are empty when the store itself answered."""

    status: int
    content_type: str
    body: bytes
    elapsed_ms: float
    request_id: str
    refused_by: str
    error_name: str


class GatewayClient:
    """One kept-alive connection to the gateway. ``send`` blocks; ``abort`` may be called from another thread."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._key = key

    def send(self, request: Request) -> Answer:
        """Send one request and read the whole answer. Raises DemoError when there is none."""
        credential = base64.b64encode(f"{request.key or self._key}:".encode()).decode()
        fields = {"Authorization": f"Basic {credential}", "User-Agent": "prestashop-agent-demo"}
        if request.body:
            fields["Content-Type"] = request.content_type
        began = time.perf_counter()
        try:
            self._connection.request(request.method, request.target, request.body or None, fields)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise DemoError(f"the gateway did not answer ({type(error).__name__})") from None
        elapsed_ms = (time.perf_counter() - began) * 1000
        found = _PROXY_STATUS.match(response.getheader("Proxy-Status", ""))
        return Answer(
            status=response.status,
            content_type=response.getheader("Content-Type", ""),
            body=body,
            elapsed_ms=elapsed_ms,
            request_id=response.getheader("X-Request-Id", ""),
            refused_by=found[1] if found else "",
            error_name=found[2] if found else "",
        )

    def abort(self) -> None:
        """Make a running ``send`` fail at once."""
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
