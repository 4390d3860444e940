"""Creating, listing and revoking the keys with which integrations call the gateway."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import CLIENT_KEY_CONNECTIONS, CLIENT_KEYS, CONNECTIONS
from agent.server.operations.connections import find_connection
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import InvalidError, NotFoundError
from agent.server.operations.methods import clean_methods
from agent.server.operations.names import clean_name
from agent.server.operations.records import ClientKey
from agent.server.tokens import digest, mint_client_key


@dataclass(frozen=True, slots=True)
class NewClientKey:
    """A created key; ``key`` is shown once. ``urls`` are the shop URLs to use it with, one per connection."""

    client_key: ClientKey
    key: str = field(repr=False)
    urls: tuple[str, ...]


async def create_client_key(
    plane: ControlPlane,
    actor: str,
    *,
    name: str | None = None,
    connections: Collection[str] = (),
    all_connections: bool = False,
    methods: Collection[str] | None = None,
    expires_at: float | None = None,
) -> NewClientKey:
    """Mint a client key for the given connections (slugs, ids or names), or for all, now and later.

    ``methods`` narrows what the connections allow (None = no narrower). ``expires_at`` is unix time.

    Raises InvalidError when neither or both of connections and all are given, or when the expiry is not in the
    future; NotFoundError for an unknown connection.
    """
    if bool(connections) == all_connections:
        raise InvalidError(
            "A client key is for one or more connections, or for all of them: give --connection SLUG or --all.",
            field="connections",
        )
    narrowed = clean_methods(methods) if methods is not None else None
    key = mint_client_key()
    key_id = str(uuid.uuid4())
    async with plane.change(actor) as change:
        if expires_at is not None and expires_at <= change.now:
            raise InvalidError("The expiry is not in the future.", field="expires_at")
        rows = [await find_connection(change.connection, reference) for reference in connections]
        slugs = {row["id"]: row["slug"] for row in rows}
        chosen = clean_name(name) if name else _default_name(list(slugs.values()))
        await change.connection.execute(
            insert(CLIENT_KEYS).values(
                id=key_id,
                name=chosen,
                sha256=digest(key),
                all_connections=all_connections,
                methods=narrowed,
                created_at=change.now,
                expires_at=expires_at,
            )
        )
        for connection_id in slugs:
            await change.connection.execute(
                insert(CLIENT_KEY_CONNECTIONS).values(client_key_id=key_id, connection_id=connection_id)
            )
        await change.audit(
            "client_key.created",
            chosen,
            client_key_id=key_id,
            connections=sorted(slugs.values()) or "all",
            methods=narrowed,
            expires_at=expires_at,
        )
    base = await plane.gateway_url()
    urls = tuple(f"{base}/{slug}" for slug in slugs.values()) or (f"{base}/SLUG",)
    return NewClientKey(client_key=await get_client_key(plane, key_id), key=key, urls=urls)


async def list_client_keys(plane: ControlPlane) -> list[ClientKey]:
    """Every client key, revoked ones too, oldest first."""
    async with plane.read() as connection:
        return await _client_keys(connection)


async def get_client_key(plane: ControlPlane, key_id: str) -> ClientKey:
    """The client key with this id. Raises NotFoundError."""
    async with plane.read() as connection:
        found = [key for key in await _client_keys(connection) if key.id == key_id]
    if not found:
        raise _unknown(key_id)
    return found[0]


async def revoke_client_key(plane: ControlPlane, actor: str, reference: str) -> ClientKey:
    """Stop a key, by id or by name; when this returns, the gateway refuses it. Again changes nothing.

    Raises NotFoundError, and InvalidError when several living keys have that name.
    """
    async with plane.change(actor) as change:
        row = await _find_client_key(change.connection, reference)
        if row["revoked_at"] is None:
            await change.connection.execute(
                update(CLIENT_KEYS).where(CLIENT_KEYS.c.id == row["id"]).values(revoked_at=change.now)
            )
            await change.audit("client_key.revoked", row["name"], client_key_id=row["id"])
    return await get_client_key(plane, row["id"])


async def _find_client_key(connection: AsyncConnection, reference: str) -> RowMapping:
    query = select(CLIENT_KEYS).where((CLIENT_KEYS.c.id == reference) | (CLIENT_KEYS.c.name == reference))
    rows = (await connection.execute(query)).mappings().all()
    by_id = [row for row in rows if row["id"] == reference]
    living = [row for row in rows if row["revoked_at"] is None]
    candidates = by_id or living or rows
    if not candidates:
        raise _unknown(reference)
    if len(candidates) > 1:
        ids = ", ".join(row["id"] for row in candidates)
        raise InvalidError(f'Several client keys are named "{reference}": give the id, one of {ids}.')
    return candidates[0]


def _unknown(reference: str) -> NotFoundError:
    return NotFoundError(
        f'No client key has the id or name "{reference}": integration-server client-keys list shows those there are.'
    )


def _default_name(slugs: list[str]) -> str:
    if not slugs:
        return "all connections"
    return slugs[0] if len(slugs) == 1 else f"{slugs[0]} and {len(slugs) - 1} more"


async def _client_keys(connection: AsyncConnection) -> list[ClientKey]:
    scopes: dict[str, list[str]] = defaultdict(list)
    query = select(CLIENT_KEY_CONNECTIONS.c.client_key_id, CONNECTIONS.c.slug).join(
        CONNECTIONS, CONNECTIONS.c.id == CLIENT_KEY_CONNECTIONS.c.connection_id
    )
    for row in await connection.execute(query.order_by(CONNECTIONS.c.slug)):
        scopes[row.client_key_id].append(row.slug)
    rows = await connection.execute(select(CLIENT_KEYS).order_by(CLIENT_KEYS.c.created_at))
    return [
        ClientKey(
            id=row.id,
            name=row.name,
            connections=None if row.all_connections else tuple(scopes[row.id]),
            methods=tuple(row.methods) if row.methods is not None else None,
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )
        for row in rows
    ]
