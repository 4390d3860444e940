"""``/v1/agents``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.agents import (
    AgentAsked,
    AgentCreated,
    AgentEdited,
    AgentNamed,
    AgentShown,
    State,
    TokenRotation,
)
from agent.server.api.models.page import Limit, Offset, Page, Search
from agent.server.api.problems import problems
from agent.server.operations import agent_changes, agent_tokens, agents
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Principal

router = APIRouter(prefix="/v1", tags=["agents"])

Reader = Annotated[Principal, Depends(Needs(Permission.AGENTS_READ))]
Writer = Annotated[Principal, Depends(Needs(Permission.AGENTS_WRITE))]
Minter = Annotated[Principal, Depends(Needs(Permission.AGENTS_MINT))]


@router.get("/agents", responses=problems(422))
async def list_agents(
    plane: Plane,
    _asker: Reader,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Search = "",
    state: State | None = None,
    enabled: bool | None = None,
) -> Page[AgentShown]:
    """Agents by name, revoked ones too."""
    found = await agents.list_agents(plane, Paging(limit, offset, q), state=state, enabled=enabled)
    return Page(items=[AgentShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)


@router.post("/agents", status_code=201, responses=problems(409, 422))
async def create_agent(plane: Plane, asker: Minter, asked: AgentAsked) -> AgentCreated:
    """Register an agent; the answer holds its access token, which is shown this once."""
    return AgentCreated.of(await agent_changes.create_agent(plane, asker.actor, **asked.model_dump()))


@router.get("/agents/{reference:path}", responses=problems(404))
async def get_agent(plane: Plane, _asker: Reader, reference: str) -> AgentShown:
    """One agent, by id or name."""
    return AgentShown.of(await agents.get_agent(plane, reference))


@router.patch("/agents/{reference:path}", responses=problems(404, 409, 422))
async def update_agent(plane: Plane, asker: Writer, reference: str, edited: AgentEdited) -> AgentShown:
    """Change what is given; the token stays."""
    return AgentShown.of(await agent_changes.update_agent(plane, asker.actor, reference, edited.changes()))


@router.delete("/agents/{reference:path}", responses=problems(404, 409))
async def delete_agent(plane: Plane, asker: Writer, reference: str) -> dict[str, str]:
    """Delete an agent that no connection uses, and cut its tunnels."""
    return {"name": await agent_changes.delete_agent(plane, asker.actor, reference)}


@router.post("/agents/{reference:path}/clone", status_code=201, responses=problems(404, 409, 422))
async def clone_agent(plane: Plane, asker: Minter, reference: str, named: AgentNamed) -> AgentCreated:
    """A further agent set up like this one, with a token of its own, which is shown this once."""
    return AgentCreated.of(await agent_changes.clone_agent(plane, asker.actor, reference, name=named.name))


@router.post("/agents/{reference:path}/rotate", status_code=201, responses=problems(404, 409, 422))
async def rotate_token(plane: Plane, asker: Minter, reference: str, asked: TokenRotation) -> AgentCreated:
    """Mint a further access token, which works at once; the old one works for the grace period.

    At most three tokens of an agent work at once; with a grace period of 0 the new one alone does.
    """
    return AgentCreated.of(await agent_tokens.rotate_token(plane, asker.actor, reference, asked.grace_period_s))


@router.post("/agents/{reference:path}/end-old-tokens", responses=problems(404))
async def end_old_tokens(plane: Plane, asker: Writer, reference: str) -> AgentShown:
    """End the tokens that were replaced, before their grace period is over, and cut the tunnels that use them."""
    return AgentShown.of(await agent_tokens.end_old_tokens(plane, asker.actor, reference))


@router.post("/agents/{reference:path}/enable", responses=problems(404, 409))
async def enable_agent(plane: Plane, asker: Writer, reference: str) -> AgentShown:
    """Let an agent connect again."""
    return AgentShown.of(await agent_changes.set_agent_enabled(plane, asker.actor, reference, enabled=True))


@router.post("/agents/{reference:path}/disable", responses=problems(404, 409))
async def disable_agent(plane: Plane, asker: Writer, reference: str) -> AgentShown:
    """Cut an agent's tunnels and turn it away; its token stays."""
    return AgentShown.of(await agent_changes.set_agent_enabled(plane, asker.actor, reference, enabled=False))


@router.post("/agents/{reference:path}/revoke", responses=problems(404))
async def revoke_agent(plane: Plane, asker: Writer, reference: str) -> AgentShown:
    """Make the agent's tokens worthless and cut its tunnels."""
    return AgentShown.of(await agent_changes.revoke_agent(plane, asker.actor, reference))
