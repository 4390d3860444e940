"""Creating and changing agents: their record, whether they may connect, and their end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import AGENT_SECRETS, AGENTS, CONNECTIONS
from agent.server.operations.agent_tokens import NewAgent, add_secret, public_servers, token_of
from agent.server.operations.agents import find_agent, get_agent
from agent.server.operations.control_plane import Change, ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError
from agent.server.operations.names import clean_description, clean_name
from agent.server.operations.records import Agent
from agent.server.operations.store_choice import choose_store
from agent.store_url import Store
from agent.tunnel.messages import Goodbye

INSTANCES_MAX = 100

_SHOWN_CONNECTIONS = 10


async def create_agent(
    plane: ControlPlane,
    actor: str,
    *,
    name: str,
    description: str = "",
    max_instances: int = 1,
    plain_store_url: str | None = None,
    public_ssh_address: str | None = None,
    public_gateway_url: str | None = None,
) -> NewAgent:
    """Register an agent and mint its access token.

    ``public_ssh_address`` (``host:port``, several of one cluster separated by commas) is kept for the next time;
    the settings file wins over it. ``plain_store_url`` makes an agent for a stock ``ssh -N -R``, bound to that
    one http store.

    Raises AddressMissingError when no public SSH address is known, ConflictError when the name is taken,
    InvalidError for values that cannot be.
    """
    name = clean_name(name)
    _check_instances(max_instances)
    servers = await public_servers(plane, public_ssh_address)
    plain_store = _plain_store(plain_store_url) if plain_store_url is not None else None
    agent_id = str(uuid.uuid4())
    token, secret = token_of(plane, servers, agent_id)
    async with plane.change(actor) as change:
        await _check_name_is_free(change.connection, name)
        await change.connection.execute(
            insert(AGENTS).values(
                id=agent_id,
                name=name,
                description=clean_description(description),
                max_instances=max_instances,
                plain_store=asdict(plain_store) if plain_store else None,
                created_at=change.now,
            )
        )
        await add_secret(change, agent_id, secret)
        if public_ssh_address is not None:
            await plane.remember(change, "public_ssh_address", ",".join(servers))
        if public_gateway_url is not None:
            await plane.remember(change, "public_gateway_url", public_gateway_url)
        await change.audit("agent.created", name, agent_id=agent_id, plain_ssh=plain_store is not None)
    return NewAgent.of(plane, await get_agent(plane, agent_id), token, secret, servers)


async def check_new_agent(
    plane: ControlPlane, *, name: str, description: str = "", max_instances: int = 1, plain_store_url: str | None = None
) -> None:
    """Raises what ``create_agent`` would for these values; nothing is made."""
    name = clean_name(name)
    clean_description(description)
    _check_instances(max_instances)
    if plain_store_url is not None:
        _plain_store(plain_store_url)
    async with plane.read() as connection:
        await _check_name_is_free(connection, name)


async def clone_agent(plane: ControlPlane, actor: str, reference: str, *, name: str) -> NewAgent:
    """A further agent that is set up like this one, with a token of its own.

    Raises NotFoundError, ConflictError for a name that is taken, and what ``create_agent`` raises.
    """
    like = await get_agent(plane, reference)
    return await create_agent(
        plane,
        actor,
        name=name,
        description=like.description,
        max_instances=like.max_instances,
        plain_store_url=like.plain_store.webservice_url if like.plain_store is not None else None,
    )


async def update_agent(plane: ControlPlane, actor: str, reference: str, changes: Mapping[str, Any]) -> Agent:
    """Change ``name``, ``description`` or ``max_instances``; what is not in ``changes`` stays, the token too.

    The next login counts with the new number; instances that are connected stay, also when they are more.
    Raises InvalidError for nothing to change and for a number that cannot be, NotFoundError, and ConflictError for a
    revoked agent or a name that is taken.
    """
    values = {name: changes[name] for name in ("name", "description", "max_instances") if name in changes}
    if not values:
        raise InvalidError("Nothing to change was given: give a name, --max-instances N, or --description TEXT.")
    if "max_instances" in values:
        _check_instances(values["max_instances"])
    if "description" in values:
        values["description"] = clean_description(values["description"])
    if "name" in values:
        values["name"] = clean_name(values["name"])
    async with plane.change(actor) as change:
        row = await _living(change, reference)
        if values.get("name", row["name"]) != row["name"]:
            await _check_name_is_free(change.connection, values["name"])
        await change.connection.execute(update(AGENTS).where(AGENTS.c.id == row["id"]).values(**values))
        await change.audit(
            "agent.updated",
            row["name"],
            agent_id=row["id"],
            changed=sorted(name for name, value in values.items() if row[name] != value),
            max_instances=values.get("max_instances", row["max_instances"]),
        )
    return await get_agent(plane, row["id"])


async def set_agent_enabled(plane: ControlPlane, actor: str, reference: str, *, enabled: bool) -> Agent:
    """Let an agent connect again, or cut its tunnels and turn it away; its token stays.

    Raises NotFoundError, ConflictError for a revoked agent.
    """
    async with plane.change(actor) as change:
        row = await _living(change, reference)
        if bool(row["enabled"]) != enabled:
            await change.connection.execute(update(AGENTS).where(AGENTS.c.id == row["id"]).values(enabled=enabled))
            await change.audit("agent.enabled" if enabled else "agent.disabled", row["name"], agent_id=row["id"])
    if not enabled and plane.registry is not None:
        plane.registry.evict_agent(row["id"], "disabled", Goodbye.DISABLED)
    return await get_agent(plane, row["id"])


async def revoke_agent(plane: ControlPlane, actor: str, reference: str) -> Agent:
    """Make the agent's tokens worthless and cut its tunnels; revoking again changes nothing.

    Raises NotFoundError.
    """
    async with plane.change(actor) as change:
        row = await find_agent(change.connection, reference)
        if row["revoked_at"] is None:
            await change.connection.execute(
                update(AGENTS).where(AGENTS.c.id == row["id"]).values(revoked_at=change.now)
            )
            await change.connection.execute(delete(AGENT_SECRETS).where(AGENT_SECRETS.c.agent_id == row["id"]))
            await change.audit("agent.revoked", row["name"], agent_id=row["id"])
    if plane.registry is not None:
        plane.registry.evict_agent(row["id"], "revoked")
    return await get_agent(plane, row["id"])


async def delete_agent(plane: ControlPlane, actor: str, reference: str) -> str:
    """Delete an agent with its tokens, and cut its tunnels; its name is returned.

    Raises NotFoundError, and ConflictError, which names them, while connections use it.
    """
    async with plane.change(actor) as change:
        row = await find_agent(change.connection, reference)
        users = select(CONNECTIONS.c.slug).where(CONNECTIONS.c.agent_id == row["id"]).order_by(CONNECTIONS.c.slug)
        slugs = list((await change.connection.execute(users)).scalars())
        if slugs:
            more = len(slugs) - _SHOWN_CONNECTIONS
            named = ", ".join(slugs[:_SHOWN_CONNECTIONS]) + (f" and {more} more" if more > 0 else "")
            raise ConflictError(
                f'The agent "{row["name"]}" is used by {named}: give these connections another agent, or delete them, '
                "first."
            )
        await change.connection.execute(delete(AGENT_SECRETS).where(AGENT_SECRETS.c.agent_id == row["id"]))
        await change.connection.execute(delete(AGENTS).where(AGENTS.c.id == row["id"]))
        await change.audit("agent.deleted", row["name"], agent_id=row["id"])
    if plane.registry is not None:
        plane.registry.evict_agent(row["id"], "deleted")
    return str(row["name"])


async def _living(change: Change, reference: str) -> RowMapping:
    row = await find_agent(change.connection, reference)
    if row["revoked_at"] is not None:
        raise ConflictError(
            f'The agent "{row["name"]}" is revoked and cannot be changed: register a new one with '
            "integration-server agents create."
        )
    return row


def _check_instances(number: int) -> None:
    if not 1 <= number <= INSTANCES_MAX:
        raise InvalidError(f"max_instances must be 1 to {INSTANCES_MAX}.", field="max_instances")


async def _check_name_is_free(connection: AsyncConnection, name: str) -> None:
    query = select(AGENTS.c.id).where(AGENTS.c.name == name, AGENTS.c.revoked_at.is_(None))
    if (await connection.execute(query)).first() is not None:
        raise ConflictError(
            f'An agent named "{name}" exists: choose another name, or revoke that one first.', field="name"
        )


def _plain_store(url: str) -> Store:
    store = choose_store(url)
    if store.scheme != "http":
        raise InvalidError(
            f"A stock ssh tunnel carries plain http only and cannot serve {store}: use prestashop-agent for https "
            "stores.",
            field="plain_store_url",
        )
    return store
