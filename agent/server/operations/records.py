"""Agents, connections and client keys as operations hand them out: no secret is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import RowMapping

from agent.store_url import Store, make_store

Mode = Literal["cloud", "on-premise"]
KeyPlace = Literal["basic", "ws_key"]


@dataclass(frozen=True, slots=True)
class AgentInstance:
    """One running process of an agent, as its tunnels show it; ``id`` is the beginning of its instance id."""

    id: str
    host: str
    version: str
    peer: str
    tunnels: int
    draining: bool
    connected_at: float
    last_heartbeat_at: float
    round_trip_s: float | None


@dataclass(frozen=True, slots=True)
class Agent:
    """One registered agent. ``old_token_until``: a token that was replaced works until then."""

    id: str
    name: str
    description: str
    max_instances: int
    plain_store: Store | None
    created_at: float
    revoked_at: float | None
    last_heartbeat_at: float | None
    version: str | None
    host: str | None
    grants: list[dict[str, Any]] | None
    tunnels: int = 0
    enabled: bool = True
    peer: str | None = None
    instances: tuple[AgentInstance, ...] = ()
    connections_count: int = 0
    old_token_until: float | None = None

    @property
    def state(self) -> str:
        """What a person wants to know first."""
        if self.revoked_at is not None:
            return "revoked"
        if not self.enabled:
            return "disabled"
        if self.tunnels:
            return "draining" if all(instance.draining for instance in self.instances) else "online"
        return "offline" if self.last_heartbeat_at is not None else "awaiting_install"


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection; the API key is not in it. ``client_keys`` is how many living ones open it.

    ``needs_key``: it was imported, and cannot work until its API key is entered.
    """

    id: str
    name: str
    slug: str
    mode: Mode
    agent_id: str | None
    agent_name: str | None
    store: Store
    shop_host: str | None
    key_in: KeyPlace
    methods: tuple[str, ...]
    resources: tuple[str, ...] | None
    concurrency: int
    headers: tuple[tuple[str, str], ...]
    response_timeout_s: float | None
    test_path: str
    test_method: Literal["GET", "HEAD"]
    ca_pem: str | None
    verify_tls: bool
    enabled: bool
    needs_key: bool
    created_at: float
    updated_at: float
    gateway_url: str
    client_keys: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One client key; ``connections`` are slugs, None = every connection, now and later."""

    id: str
    name: str
    connections: tuple[str, ...] | None
    methods: tuple[str, ...] | None
    enabled: bool
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None

    def state(self, now: float) -> str:
        """``active``, ``disabled``, ``expired`` or ``revoked`` at unix time ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return "active" if self.enabled else "disabled"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit trail."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


def store_columns(store: Store) -> dict[str, Any]:
    """The columns of a connection that hold ``store``."""
    return asdict(store)


def store_of(columns: Mapping[str, Any] | RowMapping) -> Store:
    """The store held in the columns of a connection, or in the JSON of a plain agent."""
    return make_store(
        scheme=columns["scheme"],
        host=columns["host"],
        port=columns["port"],
        base_path=columns["base_path"],
        virtual_uri=columns["virtual_uri"],
        id_shop=columns["id_shop"],
    )
