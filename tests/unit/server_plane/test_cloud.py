"""Where mode Cloud may connect to: public addresses, checked and dialed as the same number."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest

from agent.errors import StoreUnreachable
from agent.server.cloud import CheckedDialer, CloudForwarder, Network, is_public
from tests.kit.scripted_store import ScriptedStore
from tests.unit.server_plane.test_order import route

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"),)

PUBLIC = (
    "1.1.1.1 93.184.216.34 185.199.108.153 2606:4700::1111 2a01:4f8::1 ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1"
)
PRIVATE = """
127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1
169.254.0.1 169.254.169.254 100.64.0.1 100.127.255.255 192.0.0.8 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 fe80::1 fc00::1 fd12:3456::1 fec0::1 ff02::1 ff0e::1 100::1 2001:db8::1 2001::1 5f00::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0
::127.0.0.1 ::10.0.0.1 ::7f00:1
64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1
2002:7f00:1::1 2002:a00:1::1 2002:c0a8:1::1 2002:a9fe:a9fe::1
"""


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PRIVATE.split())
def test_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


class Resolver:
    """Answers every name with these addresses, and counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

        def getaddrinfo(host: str, port: int, **keywords: int) -> object:
            self.asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("1.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1"),
        ("1.1.1.1", "::1"),
        ("169.254.169.254",),
        ("1.1.1.1", "fe80::1%eth0"),
        (),
    ],
)
async def test_one_private_address_refuses_the_name(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    resolver = Resolver(monkeypatch, *addresses)
    with pytest.raises(StoreUnreachable) as caught:
        await CheckedDialer("shop.example", 80, None).dial(asyncio.Protocol)
    assert caught.value.proxy_error_type == "destination_ip_prohibited"
    assert "allow_private_origins" in caught.value.detail
    assert resolver.asked == ["shop.example"]


async def test_its_own_public_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, "1.1.1.1")
    own = frozenset({ipaddress.ip_address("1.1.1.1")})
    with pytest.raises(StoreUnreachable, match="its own"):
        await CheckedDialer("shop.example", 80, None, own=own).dial(asyncio.Protocol)


@pytest.mark.parametrize("disguise", ["::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"])
async def test_its_own_address_is_refused_in_every_disguise(monkeypatch: pytest.MonkeyPatch, disguise: str) -> None:
    Resolver(monkeypatch, disguise)
    own = frozenset({ipaddress.ip_address("1.1.1.1")})
    with pytest.raises(StoreUnreachable, match="its own"):
        await CheckedDialer("shop.example", 80, None, own=own).dial(asyncio.Protocol)


async def test_an_allowed_address_is_allowed_in_disguise_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedStore() as store:
        Resolver(monkeypatch, "::ffff:127.0.0.1")
        made = await CheckedDialer("shop.example", store.port, None, LOOPBACK).dial(_Keeping)
        made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_addresses_in_the_url_are_checked_as_well(host: str) -> None:
    with pytest.raises(StoreUnreachable) as caught:
        await CheckedDialer(host, 80, None).dial(asyncio.Protocol)
    assert caught.value.proxy_error_type == "destination_ip_prohibited"


async def test_what_is_dialed_is_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look at the name (rebinding) would come out at another address: there is none."""
    async with ScriptedStore() as store:
        resolver = Resolver(monkeypatch, "127.0.0.1")
        transport_made = await CheckedDialer("shop.example", store.port, None, LOOPBACK).dial(_Keeping)
        resolver.addresses = ("127.0.0.2",)
        assert transport_made.peer == ("127.0.0.1", store.port)
        assert resolver.asked == ["shop.example"]
        transport_made.close()


async def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedStore() as store:
        Resolver(monkeypatch, "127.0.0.9", "127.0.0.1")
        made = await CheckedDialer("shop.example", store.port, None, LOOPBACK).dial(_Keeping)
        assert made.peer == ("127.0.0.1", store.port)
        made.close()


@pytest.mark.parametrize("host", ["no-such-shop.invalid", "shop..lan"])
async def test_a_name_that_does_not_resolve(host: str) -> None:
    with pytest.raises(StoreUnreachable) as caught:
        await CheckedDialer(host, 80, None).dial(asyncio.Protocol)
    assert caught.value.proxy_error_type == "dns_error"


class _Keeping(asyncio.Protocol):
    """Keeps its transport and where it leads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.peer = transport.get_extra_info("peername")

    def close(self) -> None:
        self.transport.close()


async def test_an_edited_connection_gets_a_new_way_and_an_unchanged_one_keeps_it() -> None:
    forwarder = CloudForwarder(lambda coroutine, name: asyncio.ensure_future(coroutine))
    first = forwarder.pool(route())
    assert forwarder.pool(route()) is first, "equal settings, another object"
    assert forwarder.pool(route(api_key="OTHER")) is first, "the key is not part of the way"
    edited = forwarder.pool(route(shop_host="www.shop.example"))
    assert edited is not first
    with pytest.raises(ConnectionError):
        await first.open()
    await forwarder.close()
