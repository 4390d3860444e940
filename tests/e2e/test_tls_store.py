"""Stores over HTTPS through the tunnel: a private authority, the wrong ones, and an address that is not the name."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from agent.forward.dialer import TcpDialer
from agent.forward.target import tls_context
from agent.store_url import Store
from tests.kit.certificates import CertificateAuthority
from tests.kit.cluster import CLIENT_KEY, LOOPBACK, Cluster, Link, loopback_store
from tests.kit.raw_client import RawAnswer, basic
from tests.kit.scripted_store import ScriptedStore

REQUEST = b"GET /shop/api/products HTTP/1.1\r\nHost: gateway\r\n" + basic(CLIENT_KEY) + b"\r\n"


def _dialer(
    store: Store, ca_file: Path | None, *, connect_port: int, server_name: str = "", verify: bool = True
) -> TcpDialer:
    """As the agent's settings make it: what is dialed, what is checked and what the URL says may all differ."""
    context = tls_context(store, ca_file, verify=verify)
    return TcpDialer(LOOPBACK, connect_port, tls=context, server_name=server_name or store.host)


async def _ask(link: Link) -> RawAnswer:
    async with Cluster([link]) as cluster, cluster.client() as client:
        return await client.ask(REQUEST)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


async def test_a_private_authority_is_trusted_when_the_agent_names_its_file(authority: CertificateAuthority) -> None:
    async with ScriptedStore(tls=authority.server_context(LOOPBACK)) as shop:
        store = loopback_store(shop.port, scheme="https")
        dialer = _dialer(store, authority.ca_file, connect_port=shop.port)
        answer = await _ask(Link("shop", store, dialer=dialer))
        assert (answer.status, len(shop.requests)) == (200, 1)


async def test_an_authority_that_nobody_named_is_refused(authority: CertificateAuthority, tmp_path: Path) -> None:
    other = CertificateAuthority(tmp_path, "Other CA")
    async with ScriptedStore(tls=authority.server_context(LOOPBACK)) as shop:
        store = loopback_store(shop.port, scheme="https")
        for ca_file in (None, other.ca_file):
            dialer = _dialer(store, ca_file, connect_port=shop.port)
            _assert_refused(await _ask(Link("shop", store, dialer=dialer)), shop)


async def test_a_certificate_for_another_name_is_refused(authority: CertificateAuthority) -> None:
    async with ScriptedStore(tls=authority.server_context("other.test")) as shop:
        store = loopback_store(shop.port, scheme="https")
        dialer = _dialer(store, authority.ca_file, connect_port=shop.port)
        answer = await _ask(Link("shop", store, dialer=dialer))
        _assert_refused(answer, shop)
        assert b"IP address mismatch" in answer.body


async def test_an_expired_certificate_is_refused(authority: CertificateAuthority) -> None:
    async with ScriptedStore(tls=authority.server_context(LOOPBACK, expired=True)) as shop:
        store = loopback_store(shop.port, scheme="https")
        dialer = _dialer(store, authority.ca_file, connect_port=shop.port)
        answer = await _ask(Link("shop", store, dialer=dialer))
        _assert_refused(answer, shop)
        assert b"expired" in answer.body


async def test_without_verification_all_of_that_passes(authority: CertificateAuthority) -> None:
    async with ScriptedStore(tls=authority.server_context("other.test", expired=True)) as shop:
        store = loopback_store(shop.port, scheme="https")
        dialer = _dialer(store, None, connect_port=shop.port, verify=False)
        answer = await _ask(Link("shop", store, dialer=dialer))
        assert answer.status == 200


async def test_the_dialed_address_the_checked_name_and_the_shops_host_may_all_differ(
    authority: CertificateAuthority,
) -> None:
    context = authority.server_context("certificate.test")
    asked: list[str | None] = []
    context.sni_callback = lambda _connection, name, _context: asked.append(name)
    async with ScriptedStore(tls=context) as shop:
        store = Store("https", "shop.test", 443, "/")
        dialer = _dialer(store, authority.ca_file, connect_port=shop.port, server_name="certificate.test")
        answer = await _ask(Link("shop", store, shop_host="www.shop.test", dialer=dialer))
        assert answer.status == 200
        assert asked == ["certificate.test"]
        assert b"\r\nHost: www.shop.test\r\n" in shop.requests[0].raw_head


async def test_a_store_that_does_not_speak_tls_is_told_from_one_with_a_bad_certificate(tmp_path: Path) -> None:
    async with ScriptedStore() as shop:
        store = loopback_store(shop.port, scheme="https")
        answer = await _ask(Link("shop", store, dialer=_dialer(store, None, connect_port=shop.port)))
        assert answer.error_name == "store_tls_failed"
        assert "tls_protocol_error" in (answer.field("Proxy-Status") or "")
        assert not shop.requests


async def test_old_tls_is_refused(authority: CertificateAuthority) -> None:
    context = authority.server_context(LOOPBACK)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with ScriptedStore(tls=context) as shop:
        store = loopback_store(shop.port, scheme="https")
        answer = await _ask(Link("shop", store, dialer=_dialer(store, authority.ca_file, connect_port=shop.port)))
        assert answer.error_name == "store_tls_failed"
        assert not shop.requests


def _assert_refused(answer: RawAnswer, shop: ScriptedStore) -> None:
    assert answer.error_name == "store_tls_failed"
    assert answer.status == 502
    assert "tls_certificate_error" in (answer.field("Proxy-Status") or "")
    assert not shop.received, "nothing is sent to a store whose certificate was refused"
