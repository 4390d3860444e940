"""What a client key opens: connections, methods, until when; and whether that is more than before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import CLIENT_KEY_CONNECTIONS, CLIENT_KEYS, CONNECTIONS
from agent.server.operations.connections import find_connection
from agent.server.operations.failures import InvalidError
from agent.server.operations.methods import clean_methods
from agent.server.operations.records import ClientKey


@dataclass(frozen=True, slots=True)
class KeyScope:
    """``connections`` are ids, None = every one; ``methods`` None = whatever a connection allows."""

    connections: frozenset[str] | None
    methods: tuple[str, ...] | None
    expires_at: float | None

    def is_within(self, other: KeyScope) -> bool:
        """True when nothing is open here that is not open there, nor for longer."""
        fewer = other.connections is None or (self.connections is not None and self.connections <= other.connections)
        narrower = other.methods is None or (self.methods is not None and set(self.methods) <= set(other.methods))
        sooner = other.expires_at is None or (self.expires_at is not None and self.expires_at <= other.expires_at)
        return fewer and narrower and sooner


async def scope_of(connection: AsyncConnection, row: RowMapping) -> KeyScope:
    """What the key of this row opens."""
    query = select(CLIENT_KEY_CONNECTIONS.c.connection_id).where(CLIENT_KEY_CONNECTIONS.c.client_key_id == row["id"])
    ids = None if row["all_connections"] else frozenset((await connection.execute(query)).scalars())
    return KeyScope(ids, tuple(row["methods"]) if row["methods"] is not None else None, row["expires_at"])


async def changed_scope(
    connection: AsyncConnection, before: KeyScope, changes: Mapping[str, Any], now: float
) -> KeyScope:
    """What it opens when ``changes`` are made. Raises InvalidError, NotFoundError for an unknown connection."""
    connections = before.connections
    if changes.get("all_connections"):
        if changes.get("connections"):
            raise InvalidError("A client key is for some connections, or for all of them.", field="connections")
        connections = None
    elif "connections" in changes:
        found = [await find_connection(connection, reference) for reference in changes["connections"]]
        if not found:
            raise InvalidError("A client key opens at least one connection: revoke it instead.", field="connections")
        connections = frozenset(row["id"] for row in found)
    elif changes.get("all_connections") is False and connections is None:
        raise InvalidError("Say which connections the key opens.", field="connections")
    methods = before.methods
    if "methods" in changes:
        methods = tuple(clean_methods(changes["methods"])) if changes["methods"] is not None else None
    expires_at = changes.get("expires_at", before.expires_at)
    if "expires_at" in changes and expires_at is not None and expires_at <= now:
        raise InvalidError("The expiry is not in the future.", field="expires_at")
    return KeyScope(connections, methods, expires_at)


async def write_connections(connection: AsyncConnection, key_id: str, connection_ids: Collection[str]) -> None:
    """Let the key open exactly these."""
    table = CLIENT_KEY_CONNECTIONS
    await connection.execute(delete(table).where(table.c.client_key_id == key_id))
    if connection_ids:
        rows = [{"client_key_id": key_id, "connection_id": each} for each in connection_ids]
        await connection.execute(insert(table), rows)


def in_state(state: str, now: float) -> ColumnElement[bool]:
    """Condition for keys that are ``active``, ``disabled``, ``expired`` or ``revoked``."""
    keys = CLIENT_KEYS.c
    is_over = keys.expires_at.is_not(None) & (keys.expires_at <= now)
    living = keys.revoked_at.is_(None)
    conditions: dict[str, ColumnElement[bool]] = {
        "revoked": keys.revoked_at.is_not(None),
        "expired": and_(living, is_over),
        "disabled": and_(living, ~is_over, ~keys.enabled),
        "active": and_(living, ~is_over, keys.enabled),
    }
    return conditions[state]


async def slugs_by_key(connection: AsyncConnection) -> dict[str, list[str]]:
    """The slugs that each key names, by key id."""
    slugs: dict[str, list[str]] = defaultdict(list)
    query = select(CLIENT_KEY_CONNECTIONS.c.client_key_id, CONNECTIONS.c.slug).join(
        CONNECTIONS, CONNECTIONS.c.id == CLIENT_KEY_CONNECTIONS.c.connection_id
    )
    for row in await connection.execute(query.order_by(CONNECTIONS.c.slug)):
        slugs[row.client_key_id].append(row.slug)
    return slugs


def client_key_of(row: RowMapping, slugs: Mapping[str, list[str]]) -> ClientKey:
    """The record of a row."""
    return ClientKey(
        id=row["id"],
        name=row["name"],
        connections=None if row["all_connections"] else tuple(slugs.get(row["id"], ())),
        methods=tuple(row["methods"]) if row["methods"] is not None else None,
        enabled=bool(row["enabled"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
