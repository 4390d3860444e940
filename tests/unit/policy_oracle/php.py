"""PHP itself, asked in two ways: thousands of queries at once, or whole requests with forms and cookies."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ORACLE = Path(__file__).with_name("oracle.php")
_SETTINGS = ["-n", "-d", "display_errors=0", "-d", "log_errors=0"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What PrestaShop would do: None for ``shop`` and ``group`` when the request does not name them."""

    method: bytes
    resource: bytes
    group: bytes | None
    shop: bytes | None
    form_fields: int


def read_queries(php: str, cases: Sequence[tuple[str, bytes]], separator: str = "&") -> list[Meaning]:
    """The meaning of (method, query after rewriting) pairs, from one process; ``separator``: arg_separator.input."""
    lines = [json.dumps({"method": method, "query": _armoured(query)}) for method, query in cases]
    done = subprocess.run(
        [php, *_SETTINGS, "-d", f"arg_separator.input={separator}", str(ORACLE)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [_meaning(json.loads(line)) for line in done.stdout.splitlines()]


class PhpServer:
    """``php -S`` on a loopback port of its own choice, with cookies in the request array (no ``request_order``)."""

    def __init__(self, php: str) -> None:
        # Without a php.ini there is no request_order, and PHP falls back on variables_order.
        self._command = [php, *_SETTINGS, "-d", "variables_order=EGPCS"]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*self._command, "-S", "127.0.0.1:0", str(ORACLE)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        started = self._process.stderr.readline()
        port = re.search(rb"http://127\.0\.0\.1:(\d+)\)", started)
        assert port is not None, started
        self._address = ("127.0.0.1", int(port[1]))
        # It logs every connection; a full pipe would stop it.
        self._drain = threading.Thread(target=self._process.stderr.read, name="php-log")
        self._drain.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._drain.join(10)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def read_request(self, request: bytes) -> Meaning:
        """The meaning of a whole request, head and body."""
        with socket.create_connection(self._address, timeout=10) as connection:
            connection.sendall(request)
            answer = b""
            while data := connection.recv(65536):
                answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], (request, answer)
        return _meaning(json.loads(body))


def _armoured(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _meaning(answer: dict[str, Any]) -> Meaning:
    def plain(value: str | None) -> bytes | None:
        return None if value is None else base64.b64decode(value)

    method, resource = plain(answer["method"]), plain(answer["resource"])
    assert method is not None
    assert resource is not None
    return Meaning(method, resource, plain(answer["group"]), plain(answer["shop"]), answer["form"])
