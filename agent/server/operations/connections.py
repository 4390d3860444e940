"""Creating, listing, editing, switching and deleting connections."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import AGENTS, CONNECTIONS, RETIRED_SLUGS
from agent.server.operations.connection_wish import ConnectionWish, settle_wish
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError, NotFoundError
from agent.server.operations.live_tables import api_key_place
from agent.server.operations.records import Connection, store_of
from agent.server.operations.slugs import free_slug
from agent.server.operations.store_choice import other_shop, read_candidates
from agent.store_url import Store


async def create_connection(plane: ControlPlane, actor: str, wish: ConnectionWish, api_key: str) -> Connection:
    """Register a connection; the API key is sealed before it goes to the database.

    Raises InvalidError for what cannot be, also for a store URL that could mean several stores when none of them
    can be reached to decide; NotFoundError for an unknown agent, ConflictError for a name that is taken.
    """
    candidates = read_candidates(wish.store_url, virtual_uri=wish.virtual_uri, id_shop=wish.id_shop)
    columns = await settle_wish(plane, wish, api_key, candidates)
    connection_id = str(uuid.uuid4())
    async with plane.change(actor) as change:
        await _check_name_is_free(change.connection, columns["name"], connection_id)
        slug = free_slug(columns["name"], await _taken_slugs(change.connection))
        await change.connection.execute(
            insert(CONNECTIONS).values(
                id=connection_id,
                slug=slug,
                api_key=plane.vault.seal(api_key, api_key_place(connection_id)),
                enabled=True,
                created_at=change.now,
                updated_at=change.now,
                **columns,
            )
        )
        store = str(store_of(columns))
        await change.audit("connection.created", slug, connection_id=connection_id, mode=wish.mode, store=store)
    return await get_connection(plane, connection_id)


async def update_connection(
    plane: ControlPlane, actor: str, reference: str, changes: Mapping[str, Any], api_key: str
) -> Connection:
    """Change a connection in place: id, slug and whether it is enabled stay, and so does what is not in ``changes``.

    ``changes`` has names of ConnectionWish. The API key is entered again at every edit and sealed in the same
    transaction, so that a key never goes to a store or an agent that it was not entered for.
    Raises what ``create_connection`` raises, NotFoundError for an unknown connection, and ConflictError when somebody
    else edited it meanwhile.
    """
    if not api_key:
        raise InvalidError(
            "The API key is missing: enter it again, since every edit of a connection needs it.", field="api_key"
        )
    async with plane.read() as connection:
        before = await find_connection(connection, reference)
    wish = _changed_wish(before, changes)
    candidates = _changed_candidates(store_of(before), changes)
    columns = await settle_wish(plane, wish, api_key, candidates, kept_agent_id=before["agent_id"])
    async with plane.change(actor) as change:
        row = await find_connection(change.connection, before["id"])
        if row["api_key"] != before["api_key"]:  # every edit seals anew, which no two times gives the same
            raise ConflictError(
                f"Somebody else has just edited the connection {row['slug']}: look at it with integration-server "
                "connections list and try again."
            )
        await _check_name_is_free(change.connection, columns["name"], row["id"])
        await change.connection.execute(
            update(CONNECTIONS)
            .where(CONNECTIONS.c.id == row["id"])
            .values(
                api_key=plane.vault.seal(api_key, api_key_place(row["id"])),
                updated_at=change.now,
                **columns,
            )
        )
        await change.audit(
            "connection.updated",
            row["slug"],
            connection_id=row["id"],
            changed=sorted(name for name, value in columns.items() if row[name] != value),
            mode=wish.mode,
            store=str(store_of(columns)),
        )
    return await get_connection(plane, row["id"])


async def list_connections(plane: ControlPlane) -> list[Connection]:
    """Every connection, by name."""
    base = await plane.gateway_url()
    async with plane.read() as connection:
        rows = (await connection.execute(_query().order_by(CONNECTIONS.c.name))).mappings()
        return [_connection(row, base) for row in rows]


async def get_connection(plane: ControlPlane, reference: str) -> Connection:
    """The connection with this slug, id or name. Raises NotFoundError."""
    base = await plane.gateway_url()
    async with plane.read() as connection:
        return _connection(await find_connection(connection, reference), base)


async def set_enabled(plane: ControlPlane, actor: str, reference: str, *, enabled: bool) -> Connection:
    """Switch a connection on or off; needs no API key. Raises NotFoundError."""
    async with plane.change(actor) as change:
        row = await find_connection(change.connection, reference)
        if bool(row["enabled"]) != enabled:
            await change.connection.execute(
                update(CONNECTIONS).where(CONNECTIONS.c.id == row["id"]).values(enabled=enabled, updated_at=change.now)
            )
            await change.audit(
                "connection.enabled" if enabled else "connection.disabled", row["slug"], connection_id=row["id"]
            )
    return await get_connection(plane, row["id"])


async def delete_connection(plane: ControlPlane, actor: str, reference: str) -> str:
    """Delete a connection with its sealed key; returns its slug, which is never given again.

    Otherwise an integration that still has the old address would one day talk to somebody else's store.
    Raises NotFoundError.
    """
    async with plane.change(actor) as change:
        row = await find_connection(change.connection, reference)
        await change.connection.execute(CONNECTIONS.delete().where(CONNECTIONS.c.id == row["id"]))
        await change.connection.execute(
            insert(RETIRED_SLUGS).values(slug=row["slug"], connection_id=row["id"], retired_at=change.now)
        )
        await change.audit("connection.deleted", row["slug"], connection_id=row["id"])
    return str(row["slug"])


async def find_connection(connection: AsyncConnection, reference: str) -> RowMapping:
    """The row of a slug, an id or a name, in this order. Raises NotFoundError."""
    for column in (CONNECTIONS.c.slug, CONNECTIONS.c.id, CONNECTIONS.c.name):
        row = (await connection.execute(_query().where(column == reference))).mappings().one_or_none()
        if row is not None:
            return row
    raise NotFoundError(
        f'No connection has the slug, id or name "{reference}": integration-server connections list shows those '
        "there are."
    )


def _query() -> Any:  # noqa: ANN401 - a Select of many columns has no shorter type
    return select(CONNECTIONS, AGENTS.c.name.label("agent_name")).join(
        AGENTS, AGENTS.c.id == CONNECTIONS.c.agent_id, isouter=True
    )


def _changed_wish(row: RowMapping, changes: Mapping[str, Any]) -> ConnectionWish:
    """What is asked for now; a changed mode drops what only the other one has: agent, shop host."""
    kept = {name: row[name] for name in ("name", "mode", "key_in", "methods", "resources", "concurrency")}
    wish = {"store_url": "", **kept, **changes}
    of_mode = {"agent": row["agent_id"]} if wish["mode"] == "on-premise" else {"shop_host": row["shop_host"]}
    return ConnectionWish(**{**of_mode, **wish})


def _changed_candidates(kept: Store, changes: Mapping[str, Any]) -> tuple[Store, ...]:
    """The stores that can be meant now; the shop of a multistore stays unless another one is named."""
    if "store_url" not in changes:
        return (other_shop(kept, virtual_uri=changes.get("virtual_uri"), id_shop=changes.get("id_shop")),)
    found = read_candidates(
        changes["store_url"],
        virtual_uri=changes.get("virtual_uri", kept.virtual_uri),
        id_shop=changes.get("id_shop", ""),
    )
    if "id_shop" in changes:
        return found
    return tuple(dict.fromkeys(replace(store, id_shop=store.id_shop or kept.id_shop) for store in found))


async def _check_name_is_free(connection: AsyncConnection, name: str, own_id: str) -> None:
    others = select(CONNECTIONS.c.slug).where(CONNECTIONS.c.name == name, CONNECTIONS.c.id != own_id)
    existing = (await connection.execute(others)).scalar_one_or_none()
    if existing is not None:
        raise ConflictError(
            f'A connection named "{name}" exists ({existing}): choose a name that tells them apart.', field="name"
        )


async def _taken_slugs(connection: AsyncConnection) -> set[str]:
    used = select(CONNECTIONS.c.slug).union(select(RETIRED_SLUGS.c.slug))
    return set((await connection.execute(used)).scalars())


def _connection(row: RowMapping, gateway_url: str) -> Connection:
    return Connection(
        id=row["id"],
        name=row["name"],
        slug=row["slug"],
        mode=row["mode"],
        agent_id=row["agent_id"],
        agent_name=row["agent_name"],
        store=store_of(row),
        shop_host=row["shop_host"],
        key_in=row["key_in"],
        methods=tuple(row["methods"]),
        resources=tuple(row["resources"]) if row["resources"] is not None else None,
        concurrency=row["concurrency"],
        enabled=bool(row["enabled"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        gateway_url=f"{gateway_url}/{row['slug']}",
    )
