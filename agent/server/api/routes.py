"""The control API's paths under ``/v1``. Nothing is decided here: operations do, this translates."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse

import agent
from agent.server.api.models import (
    AgentAsked,
    AgentCreated,
    AgentEdited,
    AgentShown,
    AuditShown,
    ClientKeyAsked,
    ClientKeyCreated,
    ClientKeyShown,
    ConnectionAsked,
    ConnectionEdited,
    ConnectionShown,
    ConnectionTested,
)
from agent.server.operations import agents, checks, client_keys, connections
from agent.server.operations.control_plane import ControlPlane

router = APIRouter(prefix="/v1")


# Not plain functions: FastAPI would call those in a thread, and this process counts its own.


async def _plane(request: Request) -> ControlPlane:
    plane: ControlPlane = request.app.state.plane
    return plane


async def _actor(actor_name: Annotated[str, Header(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "unknown") -> str:
    """Who acts, for the audit trail. Whoever can open the admin socket is an administrator and is believed."""
    return f"local:{actor_name}"


Plane = Annotated[ControlPlane, Depends(_plane)]
Actor = Annotated[str, Depends(_actor)]


@router.get("/status")
async def status(plane: Plane) -> JSONResponse:
    """How the running server is doing; without one, that there is none."""
    if plane.report is None:
        return JSONResponse({"running": False, "version": agent.__version__, "state": "not_running"})
    # Plain values: FastAPI's encoder would walk 2000 tunnels in 90 ms, while exchanges wait.
    offline = await agents.offline_agents(plane)
    return JSONResponse(replace(plane.report(), offline_agents=offline).to_json())


@router.get("/agents")
async def list_agents(plane: Plane) -> list[AgentShown]:
    """Every agent."""
    return [AgentShown.of(found) for found in await agents.list_agents(plane)]


@router.post("/agents", status_code=201)
async def create_agent(plane: Plane, actor: Actor, asked: AgentAsked) -> AgentCreated:
    """Register an agent; the answer holds its access token, which is shown this once."""
    return AgentCreated.of(await agents.create_agent(plane, actor, **asked.model_dump()))


@router.get("/agents/{reference:path}")
async def get_agent(plane: Plane, reference: str) -> AgentShown:
    """One agent, by id or name."""
    return AgentShown.of(await agents.get_agent(plane, reference))


@router.patch("/agents/{reference:path}")
async def update_agent(plane: Plane, actor: Actor, reference: str, edited: AgentEdited) -> AgentShown:
    """Change what is given; the token stays."""
    return AgentShown.of(await agents.update_agent(plane, actor, reference, edited.changes()))


@router.post("/agents/{reference:path}/revoke")
async def revoke_agent(plane: Plane, actor: Actor, reference: str) -> AgentShown:
    """Make the agent's token worthless and cut its tunnels."""
    return AgentShown.of(await agents.revoke_agent(plane, actor, reference))


@router.get("/connections")
async def list_connections(plane: Plane) -> list[ConnectionShown]:
    """Every connection."""
    return [ConnectionShown.of(found) for found in await connections.list_connections(plane)]


@router.post("/connections", status_code=201)
async def create_connection(plane: Plane, actor: Actor, asked: ConnectionAsked) -> ConnectionShown:
    """Register a connection; the API key is sealed and never shown again."""
    key = asked.api_key.get_secret_value()
    return ConnectionShown.of(await connections.create_connection(plane, actor, asked.wish(), key))


@router.get("/connections/{reference:path}")
async def get_connection(plane: Plane, reference: str) -> ConnectionShown:
    """One connection, by slug, id or name."""
    return ConnectionShown.of(await connections.get_connection(plane, reference))


@router.patch("/connections/{reference:path}")
async def update_connection(plane: Plane, actor: Actor, reference: str, edited: ConnectionEdited) -> ConnectionShown:
    """Change what is given, with the API key entered again; the slug stays."""
    key = edited.api_key.get_secret_value()
    return ConnectionShown.of(await connections.update_connection(plane, actor, reference, edited.changes(), key))


@router.delete("/connections/{reference:path}")
async def delete_connection(plane: Plane, actor: Actor, reference: str) -> dict[str, str]:
    """Delete a connection; its slug is never given again."""
    return {"slug": await connections.delete_connection(plane, actor, reference)}


@router.post("/connections/{reference:path}/enable")
async def enable_connection(plane: Plane, actor: Actor, reference: str) -> ConnectionShown:
    """Switch a connection on."""
    return ConnectionShown.of(await connections.set_enabled(plane, actor, reference, enabled=True))


@router.post("/connections/{reference:path}/disable")
async def disable_connection(plane: Plane, actor: Actor, reference: str) -> ConnectionShown:
    """Switch a connection off; the gateway answers ``connection_disabled``."""
    return ConnectionShown.of(await connections.set_enabled(plane, actor, reference, enabled=False))


@router.post("/connections/{reference:path}/test")
async def test_connection(plane: Plane, reference: str) -> ConnectionTested:
    """Ask the store for its permissions listing with the stored key, along the real path."""
    found = await connections.get_connection(plane, reference)
    return ConnectionTested.of(await checks.check_connection(plane, found.id))


@router.get("/client-keys")
async def list_client_keys(plane: Plane) -> list[ClientKeyShown]:
    """Every client key."""
    return [ClientKeyShown.of(found) for found in await client_keys.list_client_keys(plane)]


@router.post("/client-keys", status_code=201)
async def create_client_key(plane: Plane, actor: Actor, asked: ClientKeyAsked) -> ClientKeyCreated:
    """Mint a client key; it is shown this once."""
    return ClientKeyCreated.of(
        await client_keys.create_client_key(
            plane,
            actor,
            name=asked.name,
            connections=asked.connections,
            all_connections=asked.all_connections,
            methods=asked.methods,
            expires_at=asked.expires_at.timestamp() if asked.expires_at else None,
        )
    )


@router.post("/client-keys/{reference:path}/revoke")
async def revoke_client_key(plane: Plane, actor: Actor, reference: str) -> ClientKeyShown:
    """Stop a client key; when the answer comes, the gateway refuses it."""
    return ClientKeyShown.of(await client_keys.revoke_client_key(plane, actor, reference))


@router.get("/audit")
async def audit_trail(plane: Plane, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[AuditShown]:
    """Who did what, newest first."""
    return [AuditShown.of(entry) for entry in await plane.audit_trail(limit)]
