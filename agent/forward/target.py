"""The stores that may be reached: for each its rule, its way in, and its pool of connections."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import SettingsError
from agent.forward.gate import StoreGate
from agent.forward.pool import OriginPool
from agent.php_query import php_value
from agent.policy import Rule
from agent.store_url import Store


@dataclass(frozen=True, slots=True)
class ForwardTimeouts:
    """Limits of one exchange on the store's side, in seconds."""

    connect_s: float = 5.0
    tls_s: float = 5.0
    first_byte_s: float = 120.0
    stall_s: float = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class StoreTarget:
    """One store that is open.

    ``host`` is what the store sees in ``Host``; ``extra_fields`` are further request fields (lower case) that may
    pass. ``pool`` keeps the connections, ``gate`` holds back what the policy alone would let pass, ``name`` is the
    store in logs.
    """

    rule: Rule
    host: bytes
    pool: OriginPool
    extra_fields: frozenset[bytes] = frozenset()
    gate: StoreGate = field(default_factory=StoreGate)
    name: str = field(init=False)
    prefix: bytes = field(init=False)

    def __post_init__(self) -> None:
        # The store's address as it stands in an absolute-form target (RFC 9112 3.2.2), up to the webservice.
        store = self.rule.store
        object.__setattr__(self, "name", str(store))
        object.__setattr__(self, "prefix", f"{store.origin}{store.shop_path}api".encode())


class StoreTable:
    """Finds the target that an absolute-form request names."""

    __slots__ = ("_by_origin", "targets")

    def __init__(self, targets: Iterable[StoreTarget]) -> None:
        self.targets = tuple(targets)
        by_origin: dict[bytes, list[StoreTarget]] = {}
        for target in self.targets:
            by_origin.setdefault(target.rule.store.origin.encode(), []).append(target)
        for targets_of_origin in by_origin.values():
            targets_of_origin.sort(key=lambda target: len(target.prefix), reverse=True)
        self._by_origin = by_origin

    def find(self, target: bytes) -> tuple[StoreTarget | None, bytes]:
        """The store an absolute-form target names, and the target in origin-form.

        The comparison is by bytes: the gateway sends the store value as ``store_url`` writes it, and whatever is
        written otherwise (case, port, user) names no store. Of several stores at one address (``id_shop``) the
        first whose shop stands in the query is taken; the policy then judges exactly that.
        """
        path_at = target.find(b"/", target.find(b"://") + 3)
        if path_at < 0:
            return None, b""
        in_origin_form = target[path_at:]
        best: StoreTarget | None = None
        for candidate in self._by_origin.get(target[:path_at], ()):
            prefix = candidate.prefix
            if not target.startswith(prefix) or target[len(prefix) : len(prefix) + 1] not in (
                b"",
                b"/",
                b"?",
            ):
                continue
            shop = candidate.rule.store.id_shop
            if shop and php_value(target.partition(b"?")[2], b"id_shop") == shop.encode():
                return candidate, in_origin_form
            if best is None or (best.rule.store.id_shop and not shop):
                best = candidate
        return best, in_origin_form

    def close(self) -> None:
        """Close all idle connections; those in use end with their exchange."""
        for target in self.targets:
            target.pool.close()


def tls_context(
    store: Store, ca_file: Path | None, *, verify: bool, ca_pem: str | None = None
) -> ssl.SSLContext | None:
    """TLS towards ``store``: TLS 1.2 or newer, verified unless ``verify`` is False; None for an http store.

    With a CA file, or certificates of CAs in PEM, only what these have signed is accepted.
    Raises ``SettingsError`` when the CA file cannot be read, or when either holds no certificate.
    """
    if store.scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None, cadata=ca_pem)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The CA file {ca_file} of store {store} cannot be used ({error.strerror or error}): "
            "give the path of a readable PEM file with the certificate of the CA."
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
