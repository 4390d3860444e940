"""Agents, connections and client keys as a document without secrets, to be taken to another server.

Tokens and keys are not in it: imported agents and client keys get new ones, imported connections are off until their
API key is entered.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert

from agent.doctor.answer import DUMMY_KEY
from agent.server.db.tables import CONNECTIONS
from agent.server.operations.agent_changes import create_agent
from agent.server.operations.agent_tokens import NewAgent
from agent.server.operations.agents import list_agents
from agent.server.operations.client_keys import NewClientKey
from agent.server.operations.connection_changes import check_may_leave_unverified, check_name_is_free, taken_slugs
from agent.server.operations.connection_wish import ConnectionWish, settle_wish
from agent.server.operations.connections import list_connections
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import AddressMissingError, OperationError
from agent.server.operations.live_tables import NO_KEY
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.records import Connection, store_of
from agent.server.operations.slugs import imported_slug
from agent.server.operations.store_choice import read_candidates
from agent.server.operations.transfer_keys import KeyWish, exported_keys, import_key

FORMAT: Final = "integration-server/1"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a document: agents and client keys with their secrets, slugs; what was left out, and why."""

    agents: tuple[NewAgent, ...]
    connections: tuple[str, ...]
    client_keys: tuple[NewClientKey, ...]
    skipped: tuple[str, ...]


async def export_all(plane: ControlPlane, asker: Principal) -> dict[str, Any]:
    """The document: living agents, all connections, and the living client keys where ``asker`` may see them."""
    agents = [agent for agent in (await list_agents(plane)).items if agent.revoked_at is None]
    return {
        "format": FORMAT,
        "agents": [
            {
                "name": agent.name,
                "description": agent.description,
                "max_instances": agent.max_instances,
                "plain_store_url": agent.plain_store.webservice_url if agent.plain_store is not None else None,
            }
            for agent in agents
        ],
        "connections": [_exported(connection) for connection in (await list_connections(plane)).items],
        "client_keys": await exported_keys(plane) if asker.may(Permission.CLIENT_KEYS_READ) else [],
    }


async def import_all(
    plane: ControlPlane,
    asker: Principal,
    agents: Sequence[Mapping[str, Any]],
    connections: Sequence[tuple[str, ConnectionWish]],
    client_keys: Sequence[KeyWish] = (),
) -> Imported:
    """Register what is not there yet; ``connections`` are slugs and wishes. What cannot be made is left out and named.

    Raises AddressMissingError when an agent needs a public SSH address that is not known, ForbiddenError for client
    keys of who may not mint them.
    """
    if client_keys:
        asker.require(Permission.CLIENT_KEYS_MINT)
    made: list[NewAgent] = []
    slugs: list[str] = []
    skipped: list[str] = []
    for agent in agents:
        try:
            made.append(await create_agent(plane, asker.actor, **agent))
        except AddressMissingError:  # the same for every agent, and before the first one is made
            raise
        except OperationError as error:  # the tokens of those that were made are shown in this answer alone
            skipped.append(f"agent {agent['name']}: {error}")
    for slug, wish in connections:
        try:
            slugs.append(await _import_connection(plane, asker, slug, wish))
        except OperationError as error:
            skipped.append(f"connection {wish.name}: {error}")
    keys: list[NewClientKey] = []
    for key in client_keys:
        try:
            keys.append(await import_key(plane, asker, key))
        except OperationError as error:
            skipped.append(f"client key {key.name}: {error}")
    return Imported(tuple(made), tuple(slugs), tuple(keys), tuple(skipped))


async def _import_connection(plane: ControlPlane, asker: Principal, slug: str, wish: ConnectionWish) -> str:
    check_may_leave_unverified(asker, wish)
    candidates = read_candidates(wish.store_url, virtual_uri=wish.virtual_uri, id_shop=wish.id_shop)
    columns = await settle_wish(plane, wish, DUMMY_KEY, candidates)
    connection_id = str(uuid.uuid4())
    async with plane.change(asker.actor) as change:
        await check_name_is_free(change.connection, columns["name"], connection_id)
        kept = imported_slug(slug, columns["name"], await taken_slugs(change.connection))
        await change.connection.execute(
            insert(CONNECTIONS).values(
                id=connection_id,
                slug=kept,
                api_key=NO_KEY,
                enabled=False,
                created_at=change.now,
                updated_at=change.now,
                **columns,
            )
        )
        store = str(store_of(columns))
        await change.audit("connection.imported", kept, connection_id=connection_id, mode=wish.mode, store=store)
        if not wish.verify_tls:
            await change.audit("connection.verification_off", kept, connection_id=connection_id, store=store)
    return kept


def _exported(connection: Connection) -> dict[str, Any]:
    return {
        "slug": connection.slug,
        "name": connection.name,
        "mode": connection.mode,
        "agent": connection.agent_name,
        "store_url": connection.store.webservice_url,
        "id_shop": connection.store.id_shop,
        "virtual_uri": connection.store.virtual_uri,
        "shop_host": connection.shop_host,
        "key_in": connection.key_in,
        "methods": list(connection.methods),
        "resources": list(connection.resources) if connection.resources is not None else None,
        "concurrency": connection.concurrency,
        "headers": [{"name": name, "value": value} for name, value in connection.headers],
        "response_timeout_s": connection.response_timeout_s,
        "test_path": connection.test_path,
        "test_method": connection.test_method,
        "ca_pem": connection.ca_pem,
        "verify_tls": connection.verify_tls,
    }
