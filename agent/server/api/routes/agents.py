"""``/v1/agents``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.agents import AgentAsked, AgentCreated, AgentEdited, AgentShown
from agent.server.operations import agents
from agent.server.operations.principal import Permission, Principal

router = APIRouter(prefix="/v1", tags=["agents"])

Minter = Annotated[Principal, Depends(Needs(Permission.AGENTS_MINT))]
Writer = Annotated[Principal, Depends(Needs(Permission.AGENTS_WRITE))]


@router.get("/agents", dependencies=[Depends(Needs(Permission.AGENTS_READ))])
async def list_agents(plane: Plane) -> list[AgentShown]:
    """Every agent."""
    return [AgentShown.of(found) for found in await agents.list_agents(plane)]


@router.post("/agents", status_code=201)
async def create_agent(plane: Plane, asker: Minter, asked: AgentAsked) -> AgentCreated:
    """Register an agent; the answer holds its access token, which is shown this once."""
    return AgentCreated.of(await agents.create_agent(plane, asker.actor, **asked.model_dump()))


@router.get("/agents/{reference:path}", dependencies=[Depends(Needs(Permission.AGENTS_READ))])
async def get_agent(plane: Plane, reference: str) -> AgentShown:
    """One agent, by id or name."""
    return AgentShown.of(await agents.get_agent(plane, reference))


@router.patch("/agents/{reference:path}")
async def update_agent(plane: Plane, asker: Writer, reference: str, edited: AgentEdited) -> AgentShown:
    """Change what is given; the token stays."""
    return AgentShown.of(await agents.update_agent(plane, asker.actor, reference, edited.changes()))


@router.post("/agents/{reference:path}/revoke")
async def revoke_agent(plane: Plane, asker: Writer, reference: str) -> AgentShown:
    """Make the agent's token worthless and cut its tunnels."""
    return AgentShown.of(await agents.revoke_agent(plane, asker.actor, reference))
