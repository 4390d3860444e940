"""Hostile requests: what must not reach a store, byte for byte, and the name of the error it must get.

Every request carries a good credential, so that it is refused for what it is. It expects a connection and an agent
that open **everything** (all methods, all resources) on one store, without ``id_shop``, in the folder ``/shop/``. It
is sent over one of two hops: by a client to the gateway, or on a tunnel's channel by a gateway that lies.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agent.store_url import Store
from tests.kit import hostile_messages, hostile_targets

Hop = Literal["gateway", "agent"]
HOPS: tuple[Hop, ...] = ("gateway", "agent")


@dataclass(frozen=True, slots=True)
class Scene:
    """What the placeholders in a request stand for."""

    store: Store
    slug: str = "lyon"
    client_key: str = "CLIENTKEYCLIENTKEYCLIENTKEY00001"

    def fill(self, raw: bytes) -> bytes:
        """``raw`` with every placeholder replaced."""
        credential = base64.b64encode(f"{self.client_key}:".encode())
        for name, value in (
            (b"@ORIGIN@", self.store.origin.encode()),
            (b"@AUTHORITY@", self.store.authority.encode()),
            (b"@HOST@", self.store.host.encode()),
            (b"@PORT@", str(self.store.port).encode()),
            (b"@SHOP@", self.store.shop_path.encode()),
            (b"@SLUG@", self.slug.encode()),
            (b"@CREDENTIAL@", credential),
            (b"@KEY@", self.client_key.encode()),
        ):
            raw = raw.replace(name, value)
        return raw


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request that must be refused.

    ``error`` is a stable name of the error contract, or ``closed`` for a connection that ends without an answer.
    ``cut``: only its body is broken, so a store may have seen the beginning of it, but never a whole request; of all
    others no byte reaches a store.
    """

    id: str
    category: str
    hop: Hop
    raw: bytes
    error: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Stripped:
    """A request that is served, but without what is hostile in it.

    ``absent``: bytes that the store must not receive in any case of letters; ``present``: bytes that it must.
    """

    id: str
    hop: Hop
    raw: bytes
    absent: tuple[bytes, ...]
    present: tuple[bytes, ...] = ()


def _target(hop: Hop, rest: bytes) -> bytes:
    """The target of a request for ``rest``, which begins with ``api`` where it is good."""
    return b"/@SLUG@/" + rest if hop == "gateway" else b"@ORIGIN@@SHOP@" + rest


def _fields(hop: Hop) -> bytes:
    host = b"gateway.example" if hop == "gateway" else b"@AUTHORITY@"
    return b"Host: " + host + b"\r\nAuthorization: Basic @CREDENTIAL@\r\n"


def _hostile() -> Iterator[Hostile]:
    for hop in HOPS:
        fields = _fields(hop)
        for case in hostile_targets.cases(hop):
            line = case.method + b" " + _target(hop, case.rest) + b" HTTP/1.1\r\n"
            yield Hostile(f"{hop}/{case.id}", case.category, hop, line + fields + case.tail + b"\r\n", case.error)
        for message in hostile_messages.cases():
            raw = message.raw.replace(b"@TARGET@", _target(hop, b"api/products")).replace(b"@FIELDS@", fields)
            yield Hostile(f"{hop}/{message.id}", message.category, hop, raw, message.error, message.cut)
    for lie_id, target, error in hostile_targets.GATEWAY_TARGETS:
        raw = b"GET " + target + b" HTTP/1.1\r\n" + _fields("gateway") + b"\r\n"
        yield Hostile(f"gateway/{lie_id}", "connection", "gateway", raw, error)
    for lie_id, target, error in hostile_targets.LIES:
        raw = b"GET " + target + b" HTTP/1.1\r\n" + _fields("agent") + b"\r\n"
        yield Hostile(f"agent/{lie_id}", "lie", "agent", raw, error)
    for lie_id, raw in hostile_messages.CREDENTIALS:
        request = raw.replace(b"@TARGET@", _target("gateway", b"api/products"))
        yield Hostile(f"gateway/{lie_id}", "credential", "gateway", request, "client_key_invalid")


def _stripped() -> Iterator[Stripped]:
    for hop in HOPS:
        for case in hostile_messages.STRIPPED:
            raw = case.raw.replace(b"@TARGET@", _target(hop, b"api/products")).replace(b"@FIELDS@", _fields(hop))
            yield Stripped(f"{hop}/{case.id}", hop, raw, case.absent, case.present)
    raw = b"GET @ORIGIN@@SHOP@api/products HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Basic @CREDENTIAL@\r\n\r\n"
    yield Stripped("agent/host-of-another", "agent", raw, (b"evil.example",), (b"Host: @AUTHORITY@",))
    raw = b"GET http://evil.example/@SLUG@/api/products HTTP/1.1\r\n" + _fields("gateway") + b"\r\n"
    yield Stripped("gateway/absolute-form-of-another", "gateway", raw, (b"evil.example", b"gateway.example"))
    raw = b"GET /@SLUG@/api/products?ws_key=@KEY@&ws%5Fkey=@KEY@ HTTP/1.1\r\nHost: gateway.example\r\n\r\n"
    yield Stripped("gateway/client-key-in-the-query", "gateway", raw, (b"@KEY@", b"ws_key", b"ws%5fkey"))


HOSTILE: tuple[Hostile, ...] = tuple(_hostile())
STRIPPED: tuple[Stripped, ...] = tuple(_stripped())
