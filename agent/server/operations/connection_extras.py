"""The settings of a connection beyond the simple ones, checked: headers, test, time-out, TLS of a Cloud store. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from agent.php_query import has_parameter
from agent.policy import Rule, judge
from agent.rewrite import FORWARDED_FIELDS, is_extra_field_allowed
from agent.server.operations.failures import InvalidError
from agent.server.operations.records import Mode
from agent.store_url import Store
from agent.target import store_target

HEADERS_MAX: Final = 20
HEADER_NAME_MAX: Final = 64
HEADER_VALUE_MAX: Final = 1024
RESPONSE_TIMEOUT_MIN_S: Final = 1.0
RESPONSE_TIMEOUT_MAX_S: Final = 600.0
TEST_PATH_DEFAULT: Final = "/api/"
CA_PEM_MAX: Final = 64 * 1024

_VALUE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")  # RFC 9110 5.5, visible ASCII: no CR, LF, NUL, no blank at the ends
_OWN: Final = frozenset({"x-request-id", "x-tunnel-nonce", "traceparent", "tracestate"})
_OF_THE_BODY: Final = frozenset("range if-range trailer date".split())
_OVERRIDES: Final = frozenset(
    "x-original-url x-rewrite-url x-original-method x-http-method x-method-override x-original-host x-host".split()
)
"""Web servers and shop software take path, method or host from them: not what was judged would be done."""


def clean_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Fields that go with every request. Raises InvalidError for one that the product or the body decides."""
    found: list[tuple[str, str]] = []
    for given_name, given_value in headers:
        name, value = given_name.strip(), given_value.strip()
        lower = name.lower()
        shown = name[:HEADER_NAME_MAX] if name.isprintable() else "(not printable)"
        is_ours = lower in _OWN or lower in _OF_THE_BODY or lower.startswith("content-") or lower in _OVERRIDES
        if is_ours or not is_extra_field_allowed(name.encode("utf-8")) or len(name) > HEADER_NAME_MAX:
            raise InvalidError(
                f'The header "{shown}" cannot be set: names have letters, digits and hyphens, and it is not for a '
                "connection to decide Host, Authorization, Cookie, Connection, Content-*, Expect, Forwarded, "
                "X-Forwarded-* and the like.",
                field="headers",
            )
        if len(value) > HEADER_VALUE_MAX or not _VALUE.fullmatch(value):
            raise InvalidError(
                f'The value of the header "{shown}" must be 1 to {HEADER_VALUE_MAX} visible ASCII characters.',
                field="headers",
            )
        if any(lower == other.lower() for other, _ in found):
            raise InvalidError(f'The header "{shown}" is given twice.', field="headers")
        found.append((name, value))
    if len(found) > HEADERS_MAX:
        raise InvalidError(f"A connection can set {HEADERS_MAX} headers at most.", field="headers")
    return tuple(found)


def needs_agent_setting(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The headers that an agent passes on only when its own settings list them (``forward_fields``)."""
    return tuple(name for name, _ in headers if name.lower().encode() not in FORWARDED_FIELDS)


def clean_response_timeout(seconds: float | None) -> float | None:
    """Seconds, None = as the server's settings say. Raises InvalidError."""
    if seconds is not None and not RESPONSE_TIMEOUT_MIN_S <= seconds <= RESPONSE_TIMEOUT_MAX_S:
        raise InvalidError(
            f"The response time-out must be {RESPONSE_TIMEOUT_MIN_S:.0f} to {RESPONSE_TIMEOUT_MAX_S:.0f} seconds.",
            field="response_timeout_s",
        )
    return seconds


def clean_test_path(path: str, method: str, store: Store) -> str:
    """The path after the shop's address that a test asks for, beside ``/api/``. Raises InvalidError.

    It is shown with the connection, and so must hold no API key.
    """
    text = path.strip() or TEST_PATH_DEFAULT
    text = text if text.startswith("/") else f"/{text}"
    is_plain = text.isascii() and text.isprintable() and " " not in text
    target = store_target(store, text.encode()) if is_plain else b""
    if not is_plain or judge(Rule(store), method.encode(), target, None).denial is not None:
        raise InvalidError(
            "The test path must be one of the webservice, such as /api/ or /api/products?limit=1.", field="test_path"
        )
    if has_parameter(target.partition(b"?")[2].lower(), b"ws_key"):
        raise InvalidError(
            "The test path must not contain ws_key: a test sends the API key of the connection by itself.",
            field="test_path",
        )
    return text


def clean_ca(pem: str | None, mode: Mode) -> str | None:
    """Certificates of CAs in PEM, None for the public ones. Raises InvalidError.

    They are written anew: OpenSSL, which reads them later, takes fewer spellings of PEM than this parser (none that is
    indented or on one line), and whatever else was pasted around them is not kept.
    """
    text = (pem or "").strip()
    if not text:
        return None
    if mode == "on-premise":
        raise InvalidError(
            "In mode on-premise the agent checks the store's certificate: leave the CA out here, and set ca_file under "
            "the store's [[stores]] in the agent.toml of the agent.",
            field="ca_pem",
        )
    try:
        if len(text) > CA_PEM_MAX or "PRIVATE KEY" in text:
            raise ValueError
        found = load_pem_x509_certificates(text.encode("ascii"))
    except ValueError:
        raise InvalidError(
            "The CA must be one or more certificates in PEM (-----BEGIN CERTIFICATE-----), and no private key.",
            field="ca_pem",
        ) from None
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in found)


def check_verification(verify: bool, mode: Mode) -> None:
    """Raises InvalidError where verification is not this server's to switch off."""
    if not verify and mode == "on-premise":
        raise InvalidError(
            "In mode on-premise the agent checks the store's certificate: set verify = false under the store's "
            "[[stores]] in the agent.toml of the agent, if it must be.",
            field="verify_tls",
        )
