"""The connection test: one request through the real path, and what its outcome means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from agent.doctor.answer import DUMMY_KEY, ProbeAnswer
from agent.doctor.diagnosis import Diagnosis, diagnose
from agent.errors import AgentOffline
from agent.server.operations.agents import get_agent
from agent.server.operations.control_plane import ControlPlane, InternalExchange
from agent.server.operations.failures import ConflictError
from agent.server.routes import Route

PROBE_TARGET: Final = b"/api/"  # the permissions listing; as JSON it ends in an empty 500 on PHP 8


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """The outcome of one test."""

    connection_id: str
    slug: str
    diagnosis: Diagnosis
    elapsed_s: float


async def check_connection(plane: ControlPlane, connection_id: str) -> ConnectionTest:
    """Ask for ``<base>/api/`` with the stored key, as the gateway would; redirects are not followed.

    Raises ConflictError when no server runs in this process, or the connection has been deleted meanwhile.
    """
    if plane.exchange is None:
        raise ConflictError(
            "A connection is tested by the running server, and none is running on this data directory: start it with "
            "integration-server serve."
        )
    route = plane.live.route(connection_id)
    if route is None:
        raise ConflictError("The connection was deleted meanwhile.")
    answer = await _ask(plane, plane.exchange, route)
    diagnosis = diagnose(answer, route.store, route.shop_host, route.mode)
    return ConnectionTest(connection_id, route.slug, diagnosis, answer.elapsed_s)


async def check_store(plane: ControlPlane, route: Route) -> Diagnosis:
    """Ask whether a webservice answers at ``route.store``; no real key leaves this server for a mere guess."""
    if plane.exchange is None:
        raise ConflictError("No server is running on this data directory.")
    async with plane.probing:
        answer = await _ask(plane, plane.exchange, replace(route, api_key=DUMMY_KEY))
    return diagnose(answer, route.store, route.shop_host, route.mode)


async def _ask(plane: ControlPlane, exchange: InternalExchange, route: Route) -> ProbeAnswer:
    agent_id = route.agent_id
    if agent_id is not None and plane.registry is not None and not plane.registry.tunnels(agent_id):
        # The gateway would park the request in the hope that the agent comes back; a person wants to know now.
        return ProbeAnswer(0, error_name=AgentOffline.name, error_detail=await _absence(plane, agent_id))
    return await exchange(route, PROBE_TARGET)


async def _absence(plane: ControlPlane, agent_id: str) -> str:
    """Why an agent is not there, as far as the records say."""
    agent = await get_agent(plane, agent_id)
    if agent.revoked_at is not None:
        return f'The agent "{agent.name}" is revoked: register a new one and move the connection to it.'
    if agent.last_heartbeat_at is None:
        return f'The agent "{agent.name}" has never connected: install it with its access token.'
    last_seen = datetime.fromtimestamp(agent.last_heartbeat_at, UTC)
    return f'The agent "{agent.name}" was last heard of on {last_seen:%Y-%m-%d at %H:%M:%S} UTC.'
