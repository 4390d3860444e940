"""Creating, listing and revoking the keys with which integrations call the gateway."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import CLIENT_KEY_CONNECTIONS, CLIENT_KEYS
from agent.server.operations.client_key_scope import (
    changed_scope,
    client_key_of,
    in_state,
    scope_of,
    slugs_by_key,
    write_connections,
)
from agent.server.operations.connections import find_connection
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError, NotFoundError
from agent.server.operations.methods import clean_methods
from agent.server.operations.names import clean_name
from agent.server.operations.paging import Listed, Paging, contains
from agent.server.operations.principal import Permission, Principal
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
    enabled: bool = True,
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
                enabled=enabled,
                created_at=change.now,
                expires_at=expires_at,
            )
        )
        await write_connections(change.connection, key_id, slugs)
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


async def list_client_keys(
    plane: ControlPlane, paging: Paging | None = None, *, state: str | None = None, connection: str | None = None
) -> Listed[ClientKey]:
    """Client keys, revoked ones too, newest first; of one ``state``, or that open one connection (slug, id or name).

    Raises NotFoundError for an unknown connection.
    """
    paging = paging or Paging()
    query = select(CLIENT_KEYS).where(contains(paging.search, CLIENT_KEYS.c.name))
    async with plane.read() as reading:
        if state is not None:
            query = query.where(in_state(state, plane.clock()))
        if connection is not None:
            row = await find_connection(reading, connection)
            own = select(CLIENT_KEY_CONNECTIONS.c.client_key_id).where(
                CLIENT_KEY_CONNECTIONS.c.connection_id == row["id"]
            )
            query = query.where(CLIENT_KEYS.c.all_connections | CLIENT_KEYS.c.id.in_(own))
        slugs = await slugs_by_key(reading)
        ordered = query.order_by(CLIENT_KEYS.c.created_at.desc(), CLIENT_KEYS.c.id)
        return await paging.run(reading, ordered, lambda row: client_key_of(row, slugs))


async def get_client_key(plane: ControlPlane, reference: str) -> ClientKey:
    """The client key with this id or name. Raises NotFoundError, InvalidError when several have that name."""
    async with plane.read() as connection:
        row = await _find_client_key(connection, reference)
        return client_key_of(row, await slugs_by_key(connection))


async def update_client_key(
    plane: ControlPlane, asker: Principal, reference: str, changes: Mapping[str, Any]
) -> ClientKey:
    """Change ``name``, ``connections`` (or ``all_connections``), ``methods``, ``expires_at``; what is left out stays.

    Opening more than before needs the right to mint keys. Raises NotFoundError, InvalidError (also for nothing to
    change), ForbiddenError, and ConflictError for a revoked key.
    """
    if not changes:
        raise InvalidError(
            "Nothing to change was given: give a name, connections, methods, or an expiry (--name, --connection, "
            "--all, --methods, --expires)."
        )
    async with plane.change(asker.actor) as change:
        row = await _find_client_key(change.connection, reference)
        if row["revoked_at"] is not None:
            raise ConflictError(f'The client key "{row["name"]}" is revoked: create a new one.')
        before = await scope_of(change.connection, row)
        after = await changed_scope(change.connection, before, changes, change.now)
        if not after.is_within(before):
            asker.require(Permission.CLIENT_KEYS_MINT)
        name = clean_name(changes["name"]) if "name" in changes else row["name"]
        await change.connection.execute(
            update(CLIENT_KEYS)
            .where(CLIENT_KEYS.c.id == row["id"])
            .values(
                name=name,
                all_connections=after.connections is None,
                methods=list(after.methods) if after.methods is not None else None,
                expires_at=after.expires_at,
            )
        )
        await write_connections(change.connection, row["id"], after.connections or ())
        await change.audit("client_key.updated", name, client_key_id=row["id"], opens_more=not after.is_within(before))
    return await get_client_key(plane, row["id"])


async def clone_client_key(plane: ControlPlane, actor: str, reference: str, *, name: str) -> NewClientKey:
    """A further key that opens the same. Raises NotFoundError, InvalidError for one whose expiry is over."""
    like = await get_client_key(plane, reference)
    return await create_client_key(
        plane,
        actor,
        name=name,
        connections=like.connections or (),
        all_connections=like.connections is None,
        methods=like.methods,
        expires_at=like.expires_at,
    )


async def set_client_key_enabled(plane: ControlPlane, actor: str, reference: str, *, enabled: bool) -> ClientKey:
    """Switch a key off or on again; when this returns, the gateway knows it.

    Raises NotFoundError, InvalidError, ConflictError for a revoked key.
    """
    async with plane.change(actor) as change:
        row = await _find_client_key(change.connection, reference)
        if row["revoked_at"] is not None:
            raise ConflictError(f'The client key "{row["name"]}" is revoked: create a new one.')
        if bool(row["enabled"]) != enabled:
            await change.connection.execute(
                update(CLIENT_KEYS).where(CLIENT_KEYS.c.id == row["id"]).values(enabled=enabled)
            )
            await change.audit(
                "client_key.enabled" if enabled else "client_key.disabled", row["name"], client_key_id=row["id"]
            )
    return await get_client_key(plane, row["id"])


async def delete_client_key(plane: ControlPlane, actor: str, reference: str) -> str:
    """Forget a key that is revoked or expired; its name is returned. Raises NotFoundError, ConflictError for others."""
    async with plane.change(actor) as change:
        row = await _find_client_key(change.connection, reference)
        is_over = row["expires_at"] is not None and change.now >= row["expires_at"]
        if row["revoked_at"] is None and not is_over:
            raise ConflictError(f'The client key "{row["name"]}" works: revoke it before you delete it.')
        await change.connection.execute(delete(CLIENT_KEYS).where(CLIENT_KEYS.c.id == row["id"]))
        await change.audit("client_key.deleted", row["name"], client_key_id=row["id"])
    return str(row["name"])


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
    # PostgreSQL refuses a NUL where SQLite finds nothing.
    rows = (await connection.execute(query)).mappings().all() if reference.isprintable() else []
    by_id = [row for row in rows if row["id"] == reference]
    living = [row for row in rows if row["revoked_at"] is None]
    candidates = by_id or living or rows
    if not candidates:
        raise NotFoundError(
            "No client key has this id or name: integration-server client-keys list shows those there are."
        )
    if len(candidates) > 1:
        ids = ", ".join(row["id"] for row in candidates)
        raise InvalidError(f'Several client keys are named "{reference}": give the id, one of {ids}.')
    return candidates[0]


def _default_name(slugs: list[str]) -> str:
    if not slugs:
        return "all connections"
    return slugs[0] if len(slugs) == 1 else f"{slugs[0]} and {len(slugs) - 1} more"
