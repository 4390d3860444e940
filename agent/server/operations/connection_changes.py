"""Creating, editing, cloning, switching and deleting connections."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import CONNECTIONS, RETIRED_SLUGS
from agent.server.operations.connection_wish import ConnectionWish, settle_wish
from agent.server.operations.connections import find_connection, get_connection
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, EditedMeanwhileError, InvalidError, OperationError
from agent.server.operations.live_tables import NO_KEY, api_key_place
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.records import Connection, store_of
from agent.server.operations.slugs import free_slug
from agent.server.operations.store_choice import other_shop, read_candidates
from agent.store_url import Store

_KEPT: Final = (
    *("name", "mode", "key_in", "methods", "resources", "concurrency"),
    *("headers", "response_timeout_s", "test_path", "test_method"),
)


def check_may_leave_unverified(asker: Principal, wish: ConnectionWish) -> None:
    """A connection whose certificate is not checked is an admin's decision. Raises ForbiddenError."""
    if not wish.verify_tls:
        asker.require(Permission.CONNECTIONS_UNVERIFIED)


async def create_connection(plane: ControlPlane, asker: Principal, wish: ConnectionWish, api_key: str) -> Connection:
    """Register a connection; the API key is sealed before it goes to the database.

    Raises InvalidError for what cannot be, also for a store URL that could mean several stores when none of them
    can be reached to decide; NotFoundError for an unknown agent, ConflictError for a name that is taken.
    """
    check_may_leave_unverified(asker, wish)
    candidates = read_candidates(wish.store_url, virtual_uri=wish.virtual_uri, id_shop=wish.id_shop)
    columns = await settle_wish(plane, wish, api_key, candidates)
    connection_id = str(uuid.uuid4())
    async with plane.change(asker.actor) as change:
        await check_name_is_free(change.connection, columns["name"], connection_id)
        slug = free_slug(columns["name"], await taken_slugs(change.connection))
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
        if not wish.verify_tls:
            await change.audit("connection.verification_off", slug, connection_id=connection_id, store=store)
    return await get_connection(plane, connection_id)


async def update_connection(
    plane: ControlPlane,
    asker: Principal,
    reference: str,
    changes: Mapping[str, Any],
    api_key: str,
    *,
    unless_changed_since: float | None = None,
) -> Connection:
    """Change a connection in place: id, slug and whether it is enabled stay, and so does what is not in ``changes``.

    ``changes`` has names of ConnectionWish. The API key is entered again at every edit and sealed in the same
    transaction, so that a key never goes to a store or an agent that it was not entered for.
    Raises what ``create_connection`` raises, NotFoundError for an unknown connection, ConflictError when somebody else
    edits it at the same moment, and EditedMeanwhileError when that was since ``unless_changed_since`` (``updated_at``).
    """
    if not api_key:
        raise InvalidError(
            "The API key is missing: enter it again, since every edit of a connection needs it.", field="api_key"
        )
    async with plane.read() as connection:
        before = await find_connection(connection, reference)
    if unless_changed_since is not None and before["updated_at"] != unless_changed_since:
        raise edited_meanwhile(before["slug"])
    wish = _changed_wish(before, changes)
    check_may_leave_unverified(asker, wish)
    candidates = _changed_candidates(store_of(before), changes)
    columns = await settle_wish(plane, wish, api_key, candidates, kept_agent_id=before["agent_id"])
    async with plane.change(asker.actor) as change:
        row = await find_connection(change.connection, before["id"])
        if row["api_key"] != before["api_key"]:  # every edit seals anew, which no two times gives the same
            raise edited_meanwhile(row["slug"], ConflictError if unless_changed_since is None else EditedMeanwhileError)
        await check_name_is_free(change.connection, columns["name"], row["id"])
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
        if not wish.verify_tls:
            store = str(store_of(columns))
            await change.audit("connection.verification_off", row["slug"], connection_id=row["id"], store=store)
    return await get_connection(plane, row["id"])


def edited_meanwhile(slug: str, kind: type[OperationError] = EditedMeanwhileError) -> OperationError:
    """What to raise when a connection is not any more as the one who edits it has seen it."""
    return kind(
        f"Somebody else has just edited the connection {slug}: look at it again (integration-server connections show "
        f"{slug}) and try again."
    )


async def clone_connection(
    plane: ControlPlane, asker: Principal, reference: str, *, name: str, api_key: str
) -> Connection:
    """A further connection that is set up like this one; its key is entered, since it is never read out.

    Raises what ``create_connection`` raises, and NotFoundError.
    """
    if not api_key:
        raise InvalidError("The API key is missing: enter the one of the copy.", field="api_key")
    like = await get_connection(plane, reference)
    wish = ConnectionWish(
        name=name,
        mode=like.mode,
        store_url=like.store.webservice_url,
        agent=like.agent_id,
        key_in=like.key_in,
        methods=like.methods,
        resources=like.resources,
        concurrency=like.concurrency,
        id_shop=like.store.id_shop,
        virtual_uri=like.store.virtual_uri,
        shop_host=like.shop_host,
        headers=like.headers,
        response_timeout_s=like.response_timeout_s,
        test_path=like.test_path,
        test_method=like.test_method,
        ca_pem=like.ca_pem,
        verify_tls=like.verify_tls,
    )
    return await create_connection(plane, asker, wish, api_key)


async def set_enabled(plane: ControlPlane, actor: str, reference: str, *, enabled: bool) -> Connection:
    """Switch a connection on or off; needs no API key.

    Raises NotFoundError, and ConflictError for switching on one that was imported and has no key yet.
    """
    async with plane.change(actor) as change:
        row = await find_connection(change.connection, reference)
        if enabled and row["api_key"] == NO_KEY:
            raise ConflictError(
                f"The connection {row['slug']} was imported without its API key: edit it and enter the key.",
                field="api_key",
            )
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


def _changed_wish(row: RowMapping, changes: Mapping[str, Any]) -> ConnectionWish:
    """What is asked for now; a changed mode drops what only the other one has: agent; shop host, CA."""
    kept = {name: row[name] for name in _KEPT}
    wish = {"store_url": "", **kept, **changes}
    of_mode = {"agent": row["agent_id"]}
    if wish["mode"] == "cloud":
        of_mode = {name: row[name] for name in ("shop_host", "ca_pem", "verify_tls")}
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


async def check_name_is_free(connection: AsyncConnection, name: str, own_id: str) -> None:
    """Raises ConflictError when another connection has this name."""
    others = select(CONNECTIONS.c.slug).where(CONNECTIONS.c.name == name, CONNECTIONS.c.id != own_id)
    existing = (await connection.execute(others)).scalar_one_or_none()
    if existing is not None:
        raise ConflictError(
            f'A connection named "{name}" exists ({existing}): choose a name that tells them apart.', field="name"
        )


async def taken_slugs(connection: AsyncConnection) -> set[str]:
    """Slugs that are in use or ever were."""
    used = select(CONNECTIONS.c.slug).union(select(RETIRED_SLUGS.c.slug))
    return set((await connection.execute(used)).scalars())
