"""Agents: list, page, and the forms that change them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.server.operations import agent_changes, agent_tokens
from agent.server.operations.agent_tokens import NewAgent
from agent.server.operations.agents import get_agent, list_agents
from agent.server.operations.connections import list_connections
from agent.server.operations.failures import OperationError
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission
from agent.server.panel.forms import paging_of
from agent.server.panel.live import live_fragment
from agent.server.panel.shown_once import Kind
from agent.server.panel.visitor import Changes, Sees, Submitted, Visitor, errors_of

router = APIRouter(prefix="/agents")

_READS = Depends(Sees(Permission.AGENTS_READ))
_MINTS = Depends(Sees(Permission.AGENTS_MINT))
_WRITE = Depends(Changes(Permission.AGENTS_WRITE))
_MINT = Depends(Changes(Permission.AGENTS_MINT))

STATES = ("online", "draining", "offline", "awaiting_install", "disabled", "revoked")


@router.get("")
async def list_page(visitor: Visitor = _READS) -> Response:
    """All agents."""
    return visitor.page("agents/list.html", install=await visitor.install(), **await _listed(visitor))


@router.get("/live")
async def list_live(visitor: Visitor = _READS) -> Response:
    """The list, again and again."""

    async def render() -> str:
        return visitor.text("agents/rows.html", **await _listed(visitor))

    return live_fragment(visitor, render, Permission.AGENTS_READ)


@router.get("/new")
async def new_page(visitor: Visitor = _MINTS) -> Response:
    """The form of a new agent."""
    return await _form(visitor, {"max_instances": "1"}, {})


@router.post("")
async def create(submitted: Submitted = _MINT) -> Response:
    """Register an agent, and show its token this once."""
    visitor = submitted.visitor
    values = {name: submitted.text(name) for name in _FIELDS}
    try:
        made = await agent_changes.create_agent(
            visitor.plane,
            visitor.actor,
            name=values["name"],
            description=values["description"],
            max_instances=_number(values["max_instances"]),
            public_ssh_address=values["public_ssh_address"] or None,
            public_gateway_url=values["public_gateway_url"] or None,
        )
    except OperationError as error:
        return await _form(visitor, values, dict(errors_of(error)), 422)
    return _token_page(visitor, made, "created")


@router.get("/{agent_id}")
async def agent_page(agent_id: str, visitor: Visitor = _READS) -> Response:
    """One agent."""
    return visitor.page("agents/page.html", **await _facts(visitor, agent_id))


@router.get("/{agent_id}/live")
async def agent_live(agent_id: str, visitor: Visitor = _READS) -> Response:
    """What is live of it, again and again."""

    async def render() -> str:
        return visitor.text("agents/live.html", agent=await get_agent(visitor.plane, agent_id))

    return live_fragment(visitor, render, Permission.AGENTS_READ)


@router.get("/{agent_id}/edit")
async def edit_page(agent_id: str, visitor: Visitor = _READS) -> Response:
    """The form of an agent that is there."""
    visitor.principal.require(Permission.AGENTS_WRITE)
    agent = await get_agent(visitor.plane, agent_id)
    values = {"name": agent.name, "description": agent.description, "max_instances": str(agent.max_instances)}
    return visitor.page("agents/edit.html", agent=agent, values=values, errors={})


@router.post("/{agent_id}/edit")
async def edit(agent_id: str, submitted: Submitted = _WRITE) -> Response:
    """Change it."""
    visitor = submitted.visitor
    values = {name: submitted.text(name) for name in ("name", "description", "max_instances")}
    try:
        changes = {**values, "max_instances": _number(values["max_instances"])}
        await agent_changes.update_agent(visitor.plane, visitor.actor, agent_id, changes)
    except OperationError as error:
        agent = await get_agent(visitor.plane, agent_id)
        return visitor.page("agents/edit.html", agent=agent, values=values, errors=errors_of(error), status=422)
    return visitor.go(f"/agents/{agent_id}", done="saved")


@router.get("/{agent_id}/{action}")
async def confirm_page(agent_id: str, action: str, visitor: Visitor = _READS) -> Response:
    """What an action means, before it is done."""
    agent = await get_agent(visitor.plane, agent_id)
    users = (await list_connections(visitor.plane, agent=agent.id)).items
    template = f"agents/{action}.html" if action in _ACTIONS else "problem.html"
    if action not in _ACTIONS:
        return visitor.page(template, status=404, title="Not found", sentence="")
    visitor.principal.require(_ACTIONS[action])
    return visitor.page(template, agent=agent, users=users, errors={})


@router.post("/{agent_id}/rotate")
async def rotate(agent_id: str, submitted: Submitted = _MINT) -> Response:
    """A new token, shown this once."""
    visitor = submitted.visitor
    try:
        hours = _number(submitted.text("grace_hours", "24"))
        made = await agent_tokens.rotate_token(visitor.plane, visitor.actor, agent_id, hours * 3600.0)
    except OperationError as error:
        agent = await get_agent(visitor.plane, agent_id)
        return visitor.page("agents/rotate.html", agent=agent, users=(), errors=errors_of(error), status=422)
    return _token_page(visitor, made, "rotated")


@router.post("/{agent_id}/clone")
async def clone(agent_id: str, submitted: Submitted = _MINT) -> Response:
    """A further agent, with its token."""
    visitor = submitted.visitor
    try:
        made = await agent_changes.clone_agent(visitor.plane, visitor.actor, agent_id, name=submitted.text("name"))
    except OperationError as error:
        agent = await get_agent(visitor.plane, agent_id)
        return visitor.page("agents/clone.html", agent=agent, users=(), errors=errors_of(error), status=422)
    return _token_page(visitor, made, "created")


@router.post("/{agent_id}/end-old-tokens")
async def end_old_tokens(agent_id: str, submitted: Submitted = _WRITE) -> Response:
    """End what was replaced."""
    await agent_tokens.end_old_tokens(submitted.visitor.plane, submitted.visitor.actor, agent_id)
    return submitted.visitor.go(f"/agents/{agent_id}", done="old_tokens_ended")


@router.post("/{agent_id}/enable")
async def enable(agent_id: str, submitted: Submitted = _WRITE) -> Response:
    """Let it connect again."""
    await agent_changes.set_agent_enabled(submitted.visitor.plane, submitted.visitor.actor, agent_id, enabled=True)
    return submitted.visitor.go(f"/agents/{agent_id}", done="enabled")


@router.post("/{agent_id}/disable")
async def disable(agent_id: str, submitted: Submitted = _WRITE) -> Response:
    """Turn it away."""
    await agent_changes.set_agent_enabled(submitted.visitor.plane, submitted.visitor.actor, agent_id, enabled=False)
    return submitted.visitor.go(f"/agents/{agent_id}", done="disabled")


@router.post("/{agent_id}/revoke")
async def revoke(agent_id: str, submitted: Submitted = _WRITE) -> Response:
    """End its tokens for ever."""
    await agent_changes.revoke_agent(submitted.visitor.plane, submitted.visitor.actor, agent_id)
    return submitted.visitor.go(f"/agents/{agent_id}", done="revoked")


@router.post("/{agent_id}/delete")
async def delete(agent_id: str, submitted: Submitted = _WRITE) -> Response:
    """Delete it; while connections use it, the page says which."""
    visitor = submitted.visitor
    try:
        await agent_changes.delete_agent(visitor.plane, visitor.actor, agent_id)
    except OperationError as error:
        agent = await get_agent(visitor.plane, agent_id)
        users = (await list_connections(visitor.plane, agent=agent.id)).items
        return visitor.page("agents/delete.html", agent=agent, users=users, errors=errors_of(error), status=409)
    return visitor.go("/agents", done="deleted")


_FIELDS = ("name", "description", "max_instances", "public_ssh_address", "public_gateway_url")
_ACTIONS = {
    "rotate": Permission.AGENTS_MINT,
    "clone": Permission.AGENTS_MINT,
    "disable": Permission.AGENTS_WRITE,
    "revoke": Permission.AGENTS_WRITE,
    "delete": Permission.AGENTS_WRITE,
}


async def _listed(visitor: Visitor) -> dict[str, Any]:
    limit, offset, search = paging_of(visitor.request)
    state = visitor.request.query_params.get("state", "")
    listed = await list_agents(visitor.plane, Paging(limit, offset, search), state=state if state in STATES else None)
    return {"listed": listed, "limit": limit, "offset": offset, "q": search, "state": state, "states": STATES}


async def _facts(visitor: Visitor, agent_id: str) -> dict[str, Any]:
    agent = await get_agent(visitor.plane, agent_id)
    users = (await list_connections(visitor.plane, agent=agent.id)).items
    return {"agent": agent, "users": users}


async def _form(visitor: Visitor, values: dict[str, str], errors: dict[str, str], status: int = 200) -> Response:
    plane = visitor.plane
    known = plane.facts.public_ssh_address or await plane.remembered("public_ssh_address")
    return visitor.page("agents/new.html", values=values, errors=errors, known_address=known, status=status)


def _token_page(visitor: Visitor, made: NewAgent, what: str) -> Response:
    async def fresh() -> dict[str, Any]:
        return {"agent": await get_agent(visitor.plane, made.agent.id), "install": await visitor.install()}

    return visitor.show_once(
        Kind.AGENT_TOKEN, Permission.AGENTS_MINT, "agents/token.html", fresh=fresh, made=made, what=what
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1
