"""Creating, listing, changing and revoking agents."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.errors import TokenError
from agent.server.db.tables import AGENT_SECRETS, AGENTS
from agent.server.operations.control_plane import Change, ControlPlane
from agent.server.operations.failures import AddressMissingError, ConflictError, InvalidError, NotFoundError
from agent.server.operations.names import clean_name
from agent.server.operations.presence import said_through
from agent.server.operations.records import Agent, store_of
from agent.server.operations.status import OfflineAgent
from agent.server.operations.store_choice import choose_store
from agent.server.tokens import digest
from agent.store_url import Store
from agent.tunnel.token import AccessToken, new_secret, split_server

INSTANCES_MAX = 100

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewAgent:
    """A created agent and what is shown once: the token, or for stock OpenSSH the secret and how to use it."""

    agent: Agent
    access_token: str = field(repr=False)
    secret: str = field(repr=False)
    ssh_address: str
    known_hosts_line: str


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
    servers = await _servers(plane, public_ssh_address)
    plain_store = _plain_store(plain_store_url) if plain_store_url is not None else None
    secret = new_secret()
    agent_id = str(uuid.uuid4())
    try:
        token = AccessToken(servers, (plane.facts.host_key_fingerprint,), agent_id, secret).encode()
    except TokenError as error:
        raise InvalidError(str(error), field="public_ssh_address") from None
    async with plane.change(actor) as change:
        if await _live_by_name(change.connection, name) is not None:
            raise ConflictError(
                f'An agent named "{name}" exists: choose another name, or revoke that one first.', field="name"
            )
        await change.connection.execute(
            insert(AGENTS).values(
                id=agent_id,
                name=name,
                description=description.strip(),
                max_instances=max_instances,
                plain_store=asdict(plain_store) if plain_store else None,
                created_at=change.now,
            )
        )
        await change.connection.execute(
            insert(AGENT_SECRETS).values(
                id=str(uuid.uuid4()), agent_id=agent_id, sha256=digest(secret), created_at=change.now
            )
        )
        if public_ssh_address is not None:
            await plane.remember(change, "public_ssh_address", ",".join(servers))
        if public_gateway_url is not None:
            await plane.remember(change, "public_gateway_url", public_gateway_url)
        await change.audit("agent.created", name, agent_id=agent_id, plain_ssh=plain_store is not None)
    return NewAgent(
        agent=await get_agent(plane, agent_id),
        access_token=token,
        secret=secret,
        ssh_address=servers[0],
        known_hosts_line=plane.facts.known_hosts_line(servers[0]),
    )


async def list_agents(plane: ControlPlane) -> list[Agent]:
    """Every agent, revoked ones too, by name."""
    async with plane.read() as connection:
        rows = (await connection.execute(select(AGENTS).order_by(AGENTS.c.name, AGENTS.c.created_at))).mappings()
        return [_agent(plane, row) for row in rows]


async def get_agent(plane: ControlPlane, reference: str) -> Agent:
    """The agent with this id or name. Raises NotFoundError."""
    async with plane.read() as connection:
        return _agent(plane, await find_agent(connection, reference))


async def offline_agents(plane: ControlPlane) -> tuple[OfflineAgent, ...] | None:
    """Agents that are registered and have no tunnel now, by name; None when the database does not answer.

    The database is asked only when there are some.
    """
    if all(_is_online(plane, agent_id) for agent_id in plane.live.agent_ids):
        return ()
    columns = (AGENTS.c.id, AGENTS.c.name, AGENTS.c.last_heartbeat_at, AGENTS.c.host)
    query = select(*columns).where(AGENTS.c.revoked_at.is_(None)).order_by(AGENTS.c.name)
    try:
        async with plane.read() as connection:
            rows = (await connection.execute(query)).all()
    except SQLAlchemyError as error:  # how the tunnels do is worth knowing all the more then
        _LOG.warning("status.offline_agents_unknown", error=type(error).__name__)
        return None
    # Looked at again: some may have come and gone while the database was asked.
    return tuple(
        OfflineAgent(row.name, _iso(row.last_heartbeat_at), row.host) for row in rows if not _is_online(plane, row.id)
    )


def _is_online(plane: ControlPlane, agent_id: str) -> bool:
    return plane.registry is not None and bool(plane.registry.tunnels(agent_id))


def _iso(at: float | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at is not None else None


async def update_agent(plane: ControlPlane, actor: str, reference: str, changes: Mapping[str, Any]) -> Agent:
    """Change ``max_instances`` or ``description``, or both; what is not in ``changes`` stays.

    The next login counts with the new number; instances that are connected stay, also when they are more.
    Raises InvalidError for nothing to change and for a number that cannot be, NotFoundError, and ConflictError for a
    revoked agent.
    """
    values = {name: changes[name] for name in ("description", "max_instances") if name in changes}
    if not values:
        raise InvalidError("Nothing to change was given: give --max-instances N, --description TEXT, or both.")
    if "max_instances" in values:
        _check_instances(values["max_instances"])
    if "description" in values:
        values["description"] = values["description"].strip()
    async with plane.change(actor) as change:
        row = await find_agent(change.connection, reference)
        if row["revoked_at"] is not None:
            raise ConflictError(
                f'The agent "{row["name"]}" is revoked and cannot be changed: register a new one with '
                "integration-server agents create."
            )
        await change.connection.execute(update(AGENTS).where(AGENTS.c.id == row["id"]).values(**values))
        await change.audit(
            "agent.updated",
            row["name"],
            agent_id=row["id"],
            changed=sorted(name for name, value in values.items() if row[name] != value),
            max_instances=values.get("max_instances", row["max_instances"]),
        )
    return await get_agent(plane, row["id"])


async def revoke_agent(plane: ControlPlane, actor: str, reference: str) -> Agent:
    """Make the agent's secrets worthless and cut its tunnels; revoking again changes nothing.

    Raises NotFoundError.
    """
    async with plane.change(actor) as change:
        row = await find_agent(change.connection, reference)
        if row["revoked_at"] is None:
            await _revoke(change, row)
    if plane.registry is not None:
        plane.registry.evict_agent(row["id"], "revoked")
    return await get_agent(plane, row["id"])


async def _revoke(change: Change, row: RowMapping) -> None:
    await change.connection.execute(update(AGENTS).where(AGENTS.c.id == row["id"]).values(revoked_at=change.now))
    await change.connection.execute(AGENT_SECRETS.delete().where(AGENT_SECRETS.c.agent_id == row["id"]))
    await change.audit("agent.revoked", row["name"], agent_id=row["id"])


async def find_agent(connection: AsyncConnection, reference: str) -> RowMapping:
    """The row of an id, or of a name: the living agent of that name, else the one that was revoked last.

    Raises NotFoundError.
    """
    query = (
        select(AGENTS)
        .where((AGENTS.c.id == reference) | (AGENTS.c.name == reference))
        .order_by((AGENTS.c.id == reference).desc(), AGENTS.c.revoked_at.is_(None).desc(), AGENTS.c.revoked_at.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(
            f'No agent has the id or name "{reference}": integration-server agents list shows those there are.'
        )
    return row


def _check_instances(number: int) -> None:
    if not 1 <= number <= INSTANCES_MAX:
        raise InvalidError(f"max_instances must be 1 to {INSTANCES_MAX}.", field="max_instances")


async def _live_by_name(connection: AsyncConnection, name: str) -> str | None:
    query = select(AGENTS.c.id).where(AGENTS.c.name == name, AGENTS.c.revoked_at.is_(None))
    return (await connection.execute(query)).scalar_one_or_none()


async def _servers(plane: ControlPlane, given: str | None) -> tuple[str, ...]:
    text = plane.facts.public_ssh_address or given or await plane.remembered("public_ssh_address")
    if not text:
        raise AddressMissingError(
            "The address under which agents reach this server is not known: give it once with "
            "--public-ssh-address host:2222, or set public_ssh_address in the settings file.",
            field="public_ssh_address",
        )
    servers = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        for server in servers:
            split_server(server)
    except TokenError:
        raise InvalidError(
            f'The public SSH address "{text}" is not host:port, such as agents.example.com:2222.',
            field="public_ssh_address",
        ) from None
    return servers


def _plain_store(url: str) -> Store:
    store = choose_store(url)
    if store.scheme != "http":
        raise InvalidError(
            f"A stock ssh tunnel carries plain http only and cannot serve {store}: use prestashop-agent for https "
            "stores.",
            field="plain_store_url",
        )
    return store


def _agent(plane: ControlPlane, row: RowMapping) -> Agent:
    tunnels = plane.registry.tunnels(row["id"]) if plane.registry is not None else ()
    heartbeat_at = max((tunnel.last_heartbeat_at for tunnel in tunnels), default=row["last_heartbeat_at"])
    # The record follows a moment after the tunnel: one that is there speaks for itself.
    said = said_through(tunnels[-1]) if tunnels else row
    return Agent(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        max_instances=row["max_instances"],
        plain_store=store_of(row["plain_store"]) if row["plain_store"] else None,
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        last_heartbeat_at=heartbeat_at,
        version=said["version"],
        host=said["host"],
        grants=said["grants"],
        tunnels=len(tunnels),
    )
