"""Looking at agents: lists, one of them, and what is known of each from its record and its tunnels."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import RowMapping, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import AGENT_SECRETS, AGENTS, CONNECTIONS
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import NotFoundError
from agent.server.operations.paging import Listed, Paging, contains
from agent.server.operations.presence import said_through
from agent.server.operations.records import Agent, AgentInstance, store_of
from agent.server.operations.status import OfflineAgent
from agent.server.tunnel import Tunnel
from agent.tunnel.text import printable

SHOWN_ID_CHARS = 8
"""Not the whole instance id: who knows it could join as a further tunnel of that instance."""

_LOG = structlog.get_logger()


async def list_agents(
    plane: ControlPlane, paging: Paging | None = None, *, state: str | None = None, enabled: bool | None = None
) -> Listed[Agent]:
    """Agents by name, revoked ones too; of one ``state``, those that are on or off, if it is given.

    Whether an agent is online is known by its tunnels alone: states are told apart here, not by the database.
    """
    paging = paging or Paging()
    query = select(AGENTS).where(contains(paging.search, AGENTS.c.name, AGENTS.c.description, AGENTS.c.host))
    query = query.order_by(func.lower(AGENTS.c.name), AGENTS.c.created_at, AGENTS.c.id)
    if enabled is not None:
        query = query.where(AGENTS.c.enabled == enabled)
    async with plane.read() as connection:
        beside = await _beside(connection)
        if state is None:
            return await paging.run(connection, query, lambda row: _agent(plane, row, beside))
        rows = (await connection.execute(query)).mappings()
        found = [_agent(plane, row, beside) for row in rows]
    return paging.cut([agent for agent in found if agent.state == state])


async def get_agent(plane: ControlPlane, reference: str) -> Agent:
    """The agent with this id or name. Raises NotFoundError."""
    async with plane.read() as connection:
        return _agent(plane, await find_agent(connection, reference), await _beside(connection))


async def offline_agents(plane: ControlPlane) -> tuple[OfflineAgent, ...] | None:
    """Agents that are registered and enabled and have no tunnel, by name; None when the database does not answer.

    The database is asked only when there are some.
    """
    if all(_is_online(plane, agent_id) for agent_id in plane.live.agent_ids):
        return ()
    columns = (AGENTS.c.id, AGENTS.c.name, AGENTS.c.last_heartbeat_at, AGENTS.c.host)
    query = select(*columns).where(AGENTS.c.revoked_at.is_(None), AGENTS.c.enabled).order_by(AGENTS.c.name)
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
    # PostgreSQL refuses a NUL where SQLite finds nothing.
    row = (await connection.execute(query)).mappings().one_or_none() if reference.isprintable() else None
    if row is None:
        # Without the reference: whoever mixes up two fields has sent a key in this one.
        raise NotFoundError("No agent has this id or name: integration-server agents list shows those there are.")
    return row


def _is_online(plane: ControlPlane, agent_id: str) -> bool:
    return plane.registry is not None and bool(plane.registry.tunnels(agent_id))


def _iso(at: float | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at is not None else None


@dataclass(frozen=True, slots=True)
class _Beside:
    """What other tables say, by agent id."""

    connections: dict[str, int]
    old_token_until: dict[str, float]


async def _beside(connection: AsyncConnection) -> _Beside:
    counted = select(CONNECTIONS.c.agent_id, func.count()).where(CONNECTIONS.c.agent_id.is_not(None))
    users = await connection.execute(counted.group_by(CONNECTIONS.c.agent_id))
    ending = select(AGENT_SECRETS.c.agent_id, func.max(AGENT_SECRETS.c.expires_at))
    ends = await connection.execute(
        ending.where(AGENT_SECRETS.c.expires_at.is_not(None)).group_by(AGENT_SECRETS.c.agent_id)
    )
    return _Beside({row[0]: row[1] for row in users}, {row[0]: row[1] for row in ends})


def _agent(plane: ControlPlane, row: RowMapping, beside: _Beside) -> Agent:
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
        enabled=bool(row["enabled"]),
        peer=said["peer"],
        instances=_instances(tunnels),
        connections_count=beside.connections.get(row["id"], 0),
        old_token_until=beside.old_token_until.get(row["id"]),
    )


def _instances(tunnels: tuple[Tunnel, ...]) -> tuple[AgentInstance, ...]:
    by_instance: dict[str, list[Tunnel]] = defaultdict(list)
    for tunnel in tunnels:
        by_instance[tunnel.instance_id].append(tunnel)
    found = []
    for instance_id, own in by_instance.items():
        trips = [tunnel.round_trip_s for tunnel in own if tunnel.round_trip_s is not None]
        found.append(
            AgentInstance(
                id=instance_id[:SHOWN_ID_CHARS],
                host=printable(own[-1].host, 200),
                version=printable(own[-1].version, 36),
                peer=own[-1].peer,
                tunnels=len(own),
                draining=all(tunnel.goes for tunnel in own),
                connected_at=min(tunnel.connected_at for tunnel in own),
                last_heartbeat_at=max(tunnel.last_heartbeat_at for tunnel in own),
                round_trip_s=min(trips, default=None),
            )
        )
    return tuple(found)
