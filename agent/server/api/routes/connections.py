"""``/v1/connections``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.connections import (
    ConnectionAsked,
    ConnectionCloned,
    ConnectionEdited,
    ConnectionReplaced,
    ConnectionShown,
    PreviewAsked,
    PreviewShown,
)
from agent.server.api.models.page import Limit, Offset, Page, Search
from agent.server.api.problems import problems
from agent.server.operations import connection_changes as changes
from agent.server.operations import connections
from agent.server.operations.failures import InvalidError
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.records import Mode
from agent.server.operations.store_preview import preview_store

router = APIRouter(prefix="/v1", tags=["connections"])

Reader = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_READ))]
Writer = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_WRITE))]
IfMatch = Annotated[
    str | None, Header(max_length=60, description="version: change nothing when somebody edited it meanwhile")
]


@router.get("/connections", responses=problems(422))
async def list_connections(
    plane: Plane,
    _asker: Reader,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Search = "",
    mode: Mode | None = None,
    agent: Annotated[str | None, Query(max_length=100, description="id or name")] = None,
    enabled: bool | None = None,
) -> Page[ConnectionShown]:
    """Connections by name."""
    paging = Paging(limit, offset, q)
    found = await connections.list_connections(plane, paging, mode=mode, agent=agent, enabled=enabled)
    return Page(items=[ConnectionShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)


@router.post("/connections", status_code=201, responses=problems(404, 409, 422))
async def create_connection(plane: Plane, asker: Writer, asked: ConnectionAsked) -> ConnectionShown:
    """Register a connection; the API key is sealed and never shown again."""
    key = asked.api_key.get_secret_value()
    return ConnectionShown.of(await changes.create_connection(plane, asker, asked.wish(), key))


@router.post("/connections/preview", responses=problems(422))
async def preview_connection(plane: Plane, _asker: Reader, asked: PreviewAsked) -> PreviewShown:
    """What webservice a pasted address means, and the gateway URL of a name; nobody is asked, nothing is saved."""
    return PreviewShown.of(
        await preview_store(
            plane, asked.store_url, name=asked.name, id_shop=asked.id_shop, virtual_uri=asked.virtual_uri
        )
    )


@router.get("/connections/{reference:path}", responses=problems(404))
async def get_connection(plane: Plane, _asker: Reader, reference: str, response: Response) -> ConnectionShown:
    """One connection, by slug, id or name."""
    found = ConnectionShown.of(await connections.get_connection(plane, reference))
    response.headers["ETag"] = f'"{found.version}"'
    return found


@router.patch("/connections/{reference:path}", responses=problems(404, 409, 422))
async def update_connection(
    plane: Plane, asker: Writer, reference: str, edited: ConnectionEdited, if_match: IfMatch = None
) -> ConnectionShown:
    """Change what is given, with the API key entered again; the slug stays."""
    given = edited.settings(given_only=True)
    key = edited.api_key.get_secret_value()
    since = _version(if_match)
    return ConnectionShown.of(
        await changes.update_connection(plane, asker, reference, given, key, unless_changed_since=since)
    )


@router.put("/connections/{reference:path}", responses=problems(404, 409, 422))
async def replace_connection(
    plane: Plane, asker: Writer, reference: str, replaced: ConnectionReplaced, if_match: IfMatch = None
) -> ConnectionShown:
    """Set everything anew, with the API key entered again; what is left out gets its default, the slug stays."""
    settings = replaced.settings(given_only=False)
    key = replaced.api_key.get_secret_value()
    since = _version(if_match)
    return ConnectionShown.of(
        await changes.update_connection(plane, asker, reference, settings, key, unless_changed_since=since)
    )


@router.delete("/connections/{reference:path}", responses=problems(404))
async def delete_connection(plane: Plane, asker: Writer, reference: str) -> dict[str, str]:
    """Delete a connection; its slug is never given again."""
    return {"slug": await changes.delete_connection(plane, asker.actor, reference)}


@router.post("/connections/{reference:path}/clone", status_code=201, responses=problems(404, 409, 422))
async def clone_connection(plane: Plane, asker: Writer, reference: str, cloned: ConnectionCloned) -> ConnectionShown:
    """A further connection set up like this one, with an API key of its own."""
    key = cloned.api_key.get_secret_value()
    return ConnectionShown.of(await changes.clone_connection(plane, asker, reference, name=cloned.name, api_key=key))


@router.post("/connections/{reference:path}/enable", responses=problems(404, 409))
async def enable_connection(plane: Plane, asker: Writer, reference: str) -> ConnectionShown:
    """Switch a connection on."""
    return ConnectionShown.of(await changes.set_enabled(plane, asker.actor, reference, enabled=True))


@router.post("/connections/{reference:path}/disable", responses=problems(404))
async def disable_connection(plane: Plane, asker: Writer, reference: str) -> ConnectionShown:
    """Switch a connection off; the gateway answers ``connection_disabled``."""
    return ConnectionShown.of(await changes.set_enabled(plane, asker.actor, reference, enabled=False))


def _version(if_match: str | None) -> float | None:
    if if_match is None or if_match.strip() == "*":
        return None
    try:
        return float(if_match.strip().removeprefix("W/").strip('"'))
    except ValueError:
        raise InvalidError("If-Match must be the version of the connection.", field="if-match") from None
