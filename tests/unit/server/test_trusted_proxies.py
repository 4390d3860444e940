"""Who asks, behind proxies: only what a named proxy says is believed."""

from __future__ import annotations

from typing import Any

import pytest

from agent.server.trusted_proxies import TrustedProxies


async def seen(client: str, forwarded: str, proto: str = "", networks: tuple[str, ...] = ("10.0.0.0/8", "::1")) -> Any:
    """Client and scheme as the application gets them."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    headers = [(b"x-forwarded-for", forwarded.encode())] + ([(b"x-forwarded-proto", proto.encode())] if proto else [])
    scope = {"type": "http", "client": (client, 1), "scheme": "http", "headers": headers}
    await TrustedProxies(app, networks)(scope, None, None)  # type: ignore[arg-type]
    return found["client"][0], found["scheme"]


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "1.1.1.1, 192.0.2.7", "192.0.2.7"),  # what stands before may be invented
        ("10.0.0.1", "192.0.2.7, 10.0.0.9", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("::1", "[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("10.0.0.1", "1.1.1.1, [2001:db8::7]:4711", "2001:db8::7"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),  # no proxy of ours
        ("unix", "198.51.100.1", "unix"),
    ],
)
async def test_the_last_address_that_is_no_proxy_counts(client: str, forwarded: str, expected: str) -> None:
    assert (await seen(client, forwarded))[0] == expected


@pytest.mark.parametrize(
    ("client", "proto", "expected"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "gopher", "http"),
        ("10.0.0.1", "https, http", "http"),
        ("192.0.2.1", "https", "http"),
    ],
)
async def test_https_is_believed_from_a_proxy_alone(client: str, proto: str, expected: str) -> None:
    assert (await seen(client, "", proto))[1] == expected


async def test_a_field_that_comes_twice_is_one_list() -> None:
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    headers = [(b"x-forwarded-for", b"198.51.100.1, 192.0.2.7"), (b"x-forwarded-for", b"10.0.0.9")]
    scope = {"type": "http", "client": ("10.0.0.1", 1), "scheme": "http", "headers": headers}
    await TrustedProxies(app, ("10.0.0.0/8",))(scope, None, None)  # type: ignore[arg-type]
    assert found["client"][0] == "192.0.2.7"
