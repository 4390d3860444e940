"""The in-memory tables that gateway and SSH endpoint read, kept equal to the database."""

from __future__ import annotations

import hmac
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agent.policy import Rule
from agent.server.agent_record import AgentRecord
from agent.server.db.tables import AGENT_SECRETS, AGENTS, CLIENT_KEY_CONNECTIONS, CLIENT_KEYS, CONNECTIONS
from agent.server.operations.records import store_of
from agent.server.routes import KeyGrant, Route, RoutingTable
from agent.server.tokens import digest
from agent.server.vault import EnvelopeError, Place, Vault

NO_KEY: Final = b""
"""In place of an envelope: the connection was imported, and its key has to be entered."""

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AgentSecret:
    """One secret of an agent: its record, its SHA-256, and when it ends (unix seconds, None = never)."""

    id: str
    sha256: bytes = field(repr=False)
    expires_at: float | None

    def works(self, now: float) -> bool:
        """True until it ends."""
        return self.expires_at is None or now < self.expires_at


_NOBODYS = AgentSecret("", bytes(32), None)  # compared where there is no agent: unknown ids take as long


class LiveTables:
    """Routes and client keys for the gateway, agents and their secrets for the SSH endpoint.

    ``refresh`` is called after every committed change, before success is reported: what was revoked has stopped
    when the command returns. There is no SQL on the way of an exchange or of a login.
    """

    def __init__(self, routing: RoutingTable, clock: Callable[[], float] = time.time) -> None:
        self.routing = routing
        self._clock = clock
        self._agents: dict[str, tuple[AgentRecord, list[AgentSecret]]] = {}

    def authenticate(self, agent_id: str, secret: str) -> AgentRecord | None:
        """The agent of this id and secret; None for an unknown or revoked agent and for a wrong secret."""
        given = digest(secret)
        record, secrets = self._agents.get(agent_id, (None, [_NOBODYS]))
        now = self._clock()
        # All of them are compared, so that time does not tell which one it was.
        matching = [secret for secret in secrets if hmac.compare_digest(given, secret.sha256) and secret.works(now)]
        return replace(record, secret_id=matching[0].id) if record is not None and matching else None

    def living_secrets(self, agent_id: str) -> frozenset[str]:
        """The records of the secrets with which this agent can log in now."""
        now = self._clock()
        _, secrets = self._agents.get(agent_id, (None, []))
        return frozenset(secret.id for secret in secrets if secret.works(now))

    def agents_with_ended_secrets(self) -> tuple[str, ...]:
        """Agents of which a secret has come to its end and has not been swept."""
        now = self._clock()
        return tuple(
            agent_id
            for agent_id, (_, secrets) in self._agents.items()
            if any(not secret.works(now) for secret in secrets)
        )

    @property
    def agent_count(self) -> int:
        """Agents that are registered and not revoked."""
        return len(self._agents)

    @property
    def agents(self) -> tuple[AgentRecord, ...]:
        """Their records."""
        return tuple(record for record, _ in self._agents.values())

    @property
    def agent_ids(self) -> frozenset[str]:
        """Those agents."""
        return frozenset(self._agents)

    def route(self, connection_id: str) -> Route | None:
        """The route of a connection, with its API key; for internal exchanges only."""
        return self.routing.route(connection_id)

    async def refresh(self, engine: AsyncEngine, vault: Vault) -> None:
        """Read everything and swap the tables in one step."""
        async with engine.connect() as connection:
            agents = await _agents(connection)
            routes = await _routes(connection, vault)
            grants = await _grants(connection)
        self._agents = agents
        self.routing.replace(routes, grants)


async def _agents(connection: AsyncConnection) -> dict[str, tuple[AgentRecord, list[AgentSecret]]]:
    secrets: dict[str, list[AgentSecret]] = defaultdict(list)
    for row in await connection.execute(select(AGENT_SECRETS)):
        secrets[row.agent_id].append(AgentSecret(row.id, row.sha256, row.expires_at))
    live = await connection.execute(select(AGENTS).where(AGENTS.c.revoked_at.is_(None)))
    return {
        row.id: (
            AgentRecord(
                agent_id=row.id,
                name=row.name,
                max_instances=row.max_instances,
                plain_store=store_of(row.plain_store) if row.plain_store else None,
                enabled=bool(row.enabled),
            ),
            secrets[row.id],
        )
        for row in live
    }


async def _routes(connection: AsyncConnection, vault: Vault) -> list[Route]:
    rows = (await connection.execute(select(CONNECTIONS))).mappings()
    return [_route(row, vault) for row in rows]


def _route(row: RowMapping, vault: Vault) -> Route:
    enabled = bool(row["enabled"]) and row["api_key"] != NO_KEY
    try:
        api_key = vault.open(row["api_key"], api_key_place(row["id"])) if row["api_key"] != NO_KEY else ""
    except EnvelopeError as error:
        # One broken row must not stop the others: it answers connection_disabled until the key is entered again.
        _LOG.error("connection.key_unreadable", connection=row["slug"], reason=str(error))
        api_key, enabled = "", False
    store = store_of(row)
    resources = frozenset(row["resources"]) if row["resources"] is not None else None
    return Route(
        connection_id=row["id"],
        slug=row["slug"],
        name=row["name"],
        mode=row["mode"],
        agent_id=row["agent_id"],
        store=store,
        enabled=enabled,
        api_key=api_key,
        key_in=row["key_in"],
        rule=Rule(store, frozenset(row["methods"]), resources),
        concurrency=row["concurrency"],
        shop_host=row["shop_host"],
        headers=tuple((name, value) for name, value in row["headers"]),
        response_timeout_s=row["response_timeout_s"],
        test_path=row["test_path"],
        test_method=row["test_method"],
        ca_pem=row["ca_pem"],
        verify_tls=bool(row["verify_tls"]),
    )


async def _grants(connection: AsyncConnection) -> list[KeyGrant]:
    scopes: dict[str, set[str]] = defaultdict(set)
    for row in await connection.execute(select(CLIENT_KEY_CONNECTIONS)):
        scopes[row.client_key_id].add(row.connection_id)
    live = await connection.execute(
        select(CLIENT_KEYS).where(CLIENT_KEYS.c.revoked_at.is_(None), CLIENT_KEYS.c.enabled)
    )
    return [
        KeyGrant(
            key_id=row.id,
            sha256=row.sha256,
            connection_ids=None if row.all_connections else frozenset(scopes[row.id]),
            methods=frozenset(row.methods) if row.methods is not None else None,
            expires_at=row.expires_at,
        )
        for row in live
    ]


def api_key_place(connection_id: str) -> Place:
    """Where the API key of a connection is kept; its envelope opens nowhere else."""
    return Place(CONNECTIONS.name, connection_id, CONNECTIONS.c.api_key.name)
