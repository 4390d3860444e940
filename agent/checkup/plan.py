"""What is to be checked: one store, the way to it, and the key."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote

from agent.doctor.answer import DUMMY_KEY
from agent.doctor.diagnosis import Mode, Question
from agent.policy import Decision, Rule, judge
from agent.target import store_target

LISTING: Final = "/api/"
"""The permissions listing; as JSON it ends in an empty 500 on PHP 8, so that XML is asked for."""

_LEFT_OUT: Final = frozenset(
    "accept accept-encoding user-agent output-format io-format local-content-sha1 range if-range if-match "
    "if-none-match if-modified-since if-unmodified-since".split()
)


def checked_with(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The fields of a connection that a check sends along.

    Left out are those that would make the answer another one than that which is looked at: coded, in part, JSON.
    """
    return tuple((name, value) for name, value in headers if name.lower() not in _LEFT_OUT)


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """A check of ``rule.store``.

    ``address`` and ``port`` are dialed, ``host`` is sent as Host, ``server_name`` must stand in the certificate.
    ``refuse_addresses`` says why none of some addresses may be dialed, "" when they may. ``unverified_tls`` reads a
    certificate that was refused. Without ``api_key`` the check ends once the webservice answers. Times are seconds.
    """

    rule: Rule
    address: str
    port: int
    host: str
    tls: ssl.SSLContext | None
    server_name: str
    mode: Mode = "on-premise"
    shop_host: str | None = None
    api_key: str | None = field(default=None, repr=False)
    key_in: Literal["basic", "ws_key"] = "basic"
    test_path: str = LISTING
    test_method: Literal["GET", "HEAD"] = "GET"
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    refuse_addresses: Callable[[Sequence[str]], str] = lambda _addresses: ""
    connect_timeout_s: float = 5.0
    tls_timeout_s: float = 5.0
    answer_timeout_s: float = 15.0
    certificate_warning_days: int = 21

    @property
    def question(self) -> Question:
        """What the answers are judged as answers to."""
        return Question(self.rule.store, self.mode, self.key_in, self.shop_host, self.host)

    def target(self, path: str, api_key: str) -> bytes:
        """What is asked for ``path`` (``/api/...``), in origin-form."""
        target = store_target(self.rule.store, path.encode("ascii"))
        if self.key_in == "ws_key":
            target += (b"&" if b"?" in target else b"?") + b"ws_key=" + quote(api_key, safe="").encode()
        return target

    def judged(self, method: str, path: str) -> Decision:
        """What the policy says to it, with a key that is none."""
        return judge(self.rule, method.encode("ascii"), self.target(path, DUMMY_KEY), None)

    def head(self, method: str, path: str, api_key: str) -> bytes:
        """The whole request."""
        lines = [f"{method} ".encode() + self.target(path, api_key) + b" HTTP/1.1", b"Host: " + self.host.encode()]
        if self.key_in == "basic":
            lines.append(b"Authorization: Basic " + base64.b64encode(api_key.encode() + b":"))
        lines += [f"{name}: {value}".encode("ascii") for name, value in checked_with(self.headers)]
        lines += [b"User-Agent: prestashop-agent", b"Accept: */*", b"Connection: close"]
        return b"\r\n".join(lines) + b"\r\n\r\n"
