"""The gateway's tables in memory: which slug and client key lead to which store. No SQL on the hot path."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from agent.policy import Rule, narrow
from agent.store_url import Store

_OURS: Final = frozenset({b"authorization", b"x-request-id"})
_AFTER_FORWARDER_S: Final = 20.0  # its connect and TLS time-outs, and a margin


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A connection as the gateway sees it. ``rule`` is what the connection opens; the agent may open less.

    ``headers`` go with every request; a client's own fields of these names, and of those in ``omitted`` (lower case;
    RFC 9110 10.1.1: an HTTP/1.0 client cannot mean ``Expect``), are left out. ``ca_pem`` and ``verify_tls`` are of mode
    Cloud. ``host`` stands in ``Host`` of the proxy request: the store's host[:port], or the shop's own if it differs.
    """

    connection_id: str
    slug: str
    name: str
    mode: Literal["cloud", "on-premise"]
    agent_id: str | None
    store: Store
    enabled: bool
    api_key: str = field(repr=False)
    key_in: Literal["basic", "ws_key"]
    rule: Rule
    concurrency: int = 8
    shop_host: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    response_timeout_s: float | None = None
    test_path: str = "/api/"
    test_method: Literal["GET", "HEAD"] = "GET"
    ca_pem: str | None = field(default=None, repr=False)
    verify_tls: bool = True
    own_fields: bytes = field(init=False, repr=False)
    omitted: frozenset[bytes] = field(init=False, repr=False)
    omitted_http10: frozenset[bytes] = field(init=False, repr=False)
    target_prefix: bytes = field(init=False)
    host: bytes = field(init=False)

    def __post_init__(self) -> None:
        credential = b""
        if self.key_in == "basic":
            credential = b"Authorization: Basic " + base64.b64encode(self.api_key.encode() + b":") + b"\r\n"
        lines = b"".join(f"{name}: {value}\r\n".encode("ascii") for name, value in self.headers)
        omitted = _OURS | {name.lower().encode("ascii") for name, _ in self.headers}
        object.__setattr__(self, "own_fields", credential + lines)
        object.__setattr__(self, "omitted", omitted)
        object.__setattr__(self, "omitted_http10", omitted | {b"expect"})
        object.__setattr__(self, "target_prefix", self.store.origin.encode())
        object.__setattr__(self, "host", (self.shop_host or self.store.authority).encode())

    def silence_s(self, default_s: float) -> float:
        """How long nothing may come from the store's side.

        In mode Cloud the forwarder in this process has the connection's own limit, and is to speak first.
        """
        if self.response_timeout_s is None:
            return default_s
        return self.response_timeout_s + (_AFTER_FORWARDER_S if self.mode == "cloud" else 0.0)

    def leads_like(self, other: Route) -> bool:
        """Would a request made for the other one be right for this one, too: same store, API key, rule and way?"""
        return _ways(self) == _ways(other)


def _ways(route: Route) -> tuple[object, ...]:
    way = (route.mode, route.agent_id, route.store, route.host, route.ca_pem, route.verify_tls)
    return *way, route.api_key, route.key_in, route.headers, route.rule


@dataclass(frozen=True, slots=True, eq=False)
class KeyGrant:
    """A client key: ``sha256`` of it, the connections it opens (None = all), its methods, its end (unix time)."""

    key_id: str
    sha256: bytes = field(repr=False)
    connection_ids: frozenset[str] | None
    methods: frozenset[str] | None = None
    expires_at: float | None = None


class RoutingTable:
    """Slugs and client keys. ``replace`` swaps everything at once, so that a revoked key ends with the next request.

    ``on_replace`` holds what is called after that.
    """

    __slots__ = ("_by_id", "_by_slug", "_grants", "_rules", "on_replace")

    def __init__(self) -> None:
        self.on_replace: list[Callable[[], None]] = []
        self._by_slug: dict[bytes, Route] = {}
        self._by_id: dict[str, Route] = {}
        self._grants: dict[bytes, KeyGrant] = {}
        self._rules: dict[tuple[str, str], Rule] = {}

    def __repr__(self) -> str:
        return f"<RoutingTable {len(self._by_slug)} connections, {len(self._grants)} keys>"

    def replace(self, routes: Iterable[Route], grants: Iterable[KeyGrant]) -> None:
        """Take these connections and keys, and forget all others."""
        self._by_id = {route.connection_id: route for route in routes}
        self._by_slug = {route.slug.encode(): route for route in self._by_id.values()}
        self._grants = {grant.sha256: grant for grant in grants}
        self._rules = {}
        for callback in tuple(self.on_replace):
            callback()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every connection."""
        return tuple(self._by_id.values())

    def find(self, slug: bytes, key: bytes | None, now: float) -> tuple[Route, KeyGrant] | None:
        """The connection that ``slug`` names, if ``key`` opens it at unix time ``now``.

        An unknown slug, an unknown, expired or foreign key give the same None: nobody learns which slugs exist.
        """
        route = self._by_slug.get(slug)
        if key is None:
            return None
        grant = self._grants.get(hashlib.sha256(key).digest())
        if route is None or grant is None:
            return None
        if grant.expires_at is not None and now >= grant.expires_at:
            return None
        if grant.connection_ids is not None and route.connection_id not in grant.connection_ids:
            return None
        return route, grant

    def key_opens(self, route: Route, grant: KeyGrant, now: float) -> bool:
        """Does the key, found before, still open this connection at unix time ``now``, with all its methods?"""
        known = self._grants.get(grant.sha256)
        if known is None or (known.expires_at is not None and now >= known.expires_at):
            return False
        if known is grant:
            return True
        if known.connection_ids is not None and route.connection_id not in known.connection_ids:
            return False
        return known.methods is None or (grant.methods is not None and grant.methods <= known.methods)

    def still_open(self, route: Route, grant: KeyGrant, now: float) -> bool:
        """Are the connection and the key, found before, still what they were? Their names do not matter."""
        known = self._by_id.get(route.connection_id)
        if known is None or not self.key_opens(route, grant, now):
            return False
        return known is route or (known.enabled and known.leads_like(route))

    def route(self, connection_id: str) -> Route | None:
        """The connection of that id."""
        return self._by_id.get(connection_id)

    def rule_of(self, route: Route, grant: KeyGrant) -> Rule:
        """What this key may do on this connection."""
        if grant.methods is None:
            return route.rule
        cached = self._rules.get((route.connection_id, grant.key_id))
        if cached is None:
            cached = narrow(route.rule, Rule(route.store, grant.methods, None))
            self._rules[(route.connection_id, grant.key_id)] = cached
        return cached
