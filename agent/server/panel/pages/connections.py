"""Connections: list, page, form, and the actions on one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.policy import METHODS
from agent.server.operations import connection_changes as changes
from agent.server.operations.agent_opening import AgentOpening, agent_opening
from agent.server.operations.agents import get_agent, list_agents
from agent.server.operations.client_keys import list_client_keys
from agent.server.operations.connection_wish import CONCURRENCY_MAX
from agent.server.operations.connections import get_connection, list_connections
from agent.server.operations.failures import OperationError
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission
from agent.server.operations.records import Agent, Connection
from agent.server.operations.store_preview import preview_slug
from agent.server.operations.test_history import list_tests, newest_tests
from agent.server.panel.connection_form import ADVANCED, NEW, changes_of, values_of, values_sent, values_shown, wish_of
from agent.server.panel.connection_preview import previewed
from agent.server.panel.forms import paging_of
from agent.server.panel.visitor import Changes, Sees, Submitted, Visitor, errors_of

router = APIRouter(prefix="/connections")

_READS = Depends(Sees(Permission.CONNECTIONS_READ))
_WRITES = Depends(Sees(Permission.CONNECTIONS_WRITE))
_WRITE = Depends(Changes(Permission.CONNECTIONS_WRITE))

_HISTORY = 10
_CAUSES = {"person": "a person", "schedule": "schedule", "tunnel": "returning agent"}


@router.get("")
async def list_page(visitor: Visitor = _READS) -> Response:
    """All connections."""
    limit, offset, search = paging_of(visitor.request)
    query = visitor.request.query_params
    mode = query.get("mode") if query.get("mode") in ("cloud", "on-premise") else None
    enabled = {"enabled": True, "disabled": False}.get(query.get("state", ""))
    listed = await list_connections(visitor.plane, Paging(limit, offset, search), mode=mode, enabled=enabled)
    return visitor.page(
        "connections/list.html",
        listed=listed,
        limit=limit,
        offset=offset,
        q=search,
        mode=mode or "",
        state=query.get("state", ""),
        tests=await newest_tests(visitor.plane),
        agents={agent.id: agent for agent in (await list_agents(visitor.plane)).items},
    )


@router.get("/new")
async def new_page(visitor: Visitor = _WRITES) -> Response:
    """The form of a new connection."""
    values = {**dict.fromkeys(_TEXTS, ""), **NEW, "agent": visitor.request.query_params.get("agent", "")}
    return await _form(visitor, values, {})


@router.post("/preview")
async def preview(submitted: Submitted = _WRITE) -> Response:
    """What the address that was typed so far means, at once; nobody is asked."""
    found = await previewed(submitted.visitor.plane, values_sent(submitted))
    return submitted.visitor.page("connections/preview.html", **found)


@router.post("/preview-slug")
async def slug_preview(submitted: Submitted = _WRITE) -> Response:
    """The gateway URL that a name would get."""
    slug, base = await preview_slug(submitted.visitor.plane, submitted.text("name"))
    return submitted.visitor.page("connections/slug.html", slug=slug, base=base)


@router.post("")
async def create(submitted: Submitted = _WRITE) -> Response:
    """Register a connection."""
    visitor, values = submitted.visitor, values_sent(submitted)
    try:
        wish = wish_of(values)
        made = await changes.create_connection(visitor.plane, visitor.principal, wish, submitted.text("api_key"))
    except OperationError as error:
        return await _form(visitor, values_shown(values), dict(errors_of(error)), status=422)
    return visitor.go(f"/connections/{made.slug}", done="created")


@router.get("/{slug}")
async def connection_page(slug: str, visitor: Visitor = _READS) -> Response:
    """One connection."""
    connection = await get_connection(visitor.plane, slug)
    tests = await list_tests(visitor.plane, connection.id, Paging(_HISTORY))
    keys = await list_client_keys(visitor.plane, connection=connection.id)
    traffic = visitor.plane.traffic
    return visitor.page(
        "connections/page.html",
        connection=connection,
        tests=tests,
        newest=tests.items[0] if tests.items else None,
        keys=[key for key in keys.items if key.revoked_at is None],
        exchanges=traffic.last(10, connection=connection.slug) if traffic is not None else [],
        methods=METHODS,
        opening=await _opening(visitor, connection),
        causes=_CAUSES,
    )


@router.get("/{slug}/tests")
async def tests_page(slug: str, visitor: Visitor = _READS) -> Response:
    """All tests that are kept of it, with their layers."""
    connection = await get_connection(visitor.plane, slug)
    limit, offset, _ = paging_of(visitor.request)
    listed = await list_tests(visitor.plane, connection.id, Paging(limit, offset))
    return visitor.page(
        "connections/tests.html", connection=connection, listed=listed, limit=limit, offset=offset, causes=_CAUSES
    )


@router.get("/{slug}/edit")
async def edit_page(slug: str, visitor: Visitor = _WRITES) -> Response:
    """The form of a connection that is there; its key is asked for again."""
    connection = await get_connection(visitor.plane, slug)
    return await _form(visitor, {**values_of(connection), "since": repr(connection.updated_at)}, {}, connection)


@router.post("/{slug}/edit")
async def edit(slug: str, submitted: Submitted = _WRITE) -> Response:
    """Change it; without the key nothing changes."""
    visitor, values = submitted.visitor, values_sent(submitted)
    connection = await get_connection(visitor.plane, slug)
    values["since"] = submitted.text("since")
    try:
        since = float(values["since"]) if values["since"] else None
        await changes.update_connection(
            visitor.plane,
            visitor.principal,
            connection.id,
            changes_of(wish_of(values)),
            submitted.text("api_key"),
            unless_changed_since=since,
        )
    except OperationError as error:
        return await _form(visitor, values_shown(values), dict(errors_of(error)), connection, 422)
    except ValueError:
        return await _form(visitor, values_shown(values), {"": "Load the page again: it was altered."}, connection, 422)
    return visitor.go(f"/connections/{slug}", done="saved")


@router.get("/{slug}/clone")
async def clone_page(slug: str, visitor: Visitor = _WRITES) -> Response:
    """The form of a copy."""
    connection = await get_connection(visitor.plane, slug)
    return visitor.page("connections/clone.html", connection=connection, values={}, errors={})


@router.post("/{slug}/clone")
async def clone(slug: str, submitted: Submitted = _WRITE) -> Response:
    """Make the copy, with a key of its own."""
    visitor = submitted.visitor
    connection = await get_connection(visitor.plane, slug)
    try:
        made = await changes.clone_connection(
            visitor.plane,
            visitor.principal,
            connection.id,
            name=submitted.text("name"),
            api_key=submitted.text("api_key"),
        )
    except OperationError as error:
        values = {"name": submitted.text("name")}
        return visitor.page(
            "connections/clone.html", connection=connection, values=values, errors=errors_of(error), status=422
        )
    return visitor.go(f"/connections/{made.slug}", done="created")


@router.post("/{slug}/enable")
async def enable(slug: str, submitted: Submitted = _WRITE) -> Response:
    """Switch it on; needs no key."""
    visitor = submitted.visitor
    await changes.set_enabled(visitor.plane, visitor.actor, slug, enabled=True)
    return visitor.go(f"/connections/{slug}", done="enabled")


@router.post("/{slug}/disable")
async def disable(slug: str, submitted: Submitted = _WRITE) -> Response:
    """Switch it off."""
    visitor = submitted.visitor
    await changes.set_enabled(visitor.plane, visitor.actor, slug, enabled=False)
    return visitor.go(f"/connections/{slug}", done="disabled")


@router.get("/{slug}/delete")
async def delete_page(slug: str, visitor: Visitor = _WRITES) -> Response:
    """What stops when it is deleted."""
    return visitor.page("connections/delete.html", connection=await get_connection(visitor.plane, slug))


@router.post("/{slug}/delete")
async def delete(slug: str, submitted: Submitted = _WRITE) -> Response:
    """Delete it, with its key."""
    visitor = submitted.visitor
    await changes.delete_connection(visitor.plane, visitor.actor, slug)
    return visitor.go("/connections", done="deleted")


_TEXTS = (
    *("name", "agent", "store_url", "shop_host", "id_shop", "virtual_uri", "response_timeout_s", "headers"),
    *("resources", "ca_pem"),
)


async def _opening(visitor: Visitor, connection: Connection) -> AgentOpening | None:
    """What the agent says of the store; None in mode Cloud."""
    if connection.agent_id is None:
        return None
    agent = await get_agent(visitor.plane, connection.agent_id)
    return agent_opening(visitor.plane, agent, (connection.store,), connection.methods, connection.resources)


async def _form(
    visitor: Visitor,
    values: dict[str, Any],
    errors: dict[str, str],
    connection: Connection | None = None,
    status: int = 200,
) -> Response:
    agents = [agent for agent in (await list_agents(visitor.plane)).items if _may_be_chosen(agent, values["agent"])]
    slug, base = await preview_slug(visitor.plane, "" if connection is not None else values["name"])
    return visitor.page(
        "connections/form.html",
        connection=connection,
        values=values,
        errors=errors,
        installed=[agent for agent in agents if agent.last_heartbeat_at is not None],
        waiting=[agent for agent in agents if agent.last_heartbeat_at is None],
        methods=METHODS,
        concurrency_max=CONCURRENCY_MAX,
        is_advanced=bool(ADVANCED & set(errors)),
        slug=slug,
        base=base,
        status=status,
        **await previewed(visitor.plane, values),
    )


def _may_be_chosen(agent: Agent, chosen: str) -> bool:
    return agent.revoked_at is None or agent.id == chosen
