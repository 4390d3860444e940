"""``/v1/connections``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from agent.server.api.gate import Needs, Plane
from agent.server.api.if_match import IfMatch, is_matched
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
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.records import Connection, Mode
from agent.server.operations.store_preview import preview_store

router = APIRouter(prefix="/v1", tags=["connections"])

Reader = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_READ))]
Writer = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_WRITE))]
_ETAG: dict[str, Any] = {
    "headers": {"ETag": {"description": "the version, for If-Match", "schema": {"type": "string"}}}
}


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
    needs_key: Annotated[bool | None, Query(description="imported, and without its API key until now")] = None,
) -> Page[ConnectionShown]:
    """Connections by name."""
    paging = Paging(limit, offset, q)
    found = await connections.list_connections(
        plane, paging, mode=mode, agent=agent, enabled=enabled, needs_key=needs_key
    )
    return Page(items=[ConnectionShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)


@router.post("/connections", status_code=201, responses={201: _ETAG, **problems(404, 409, 422)})
async def create_connection(plane: Plane, asker: Writer, asked: ConnectionAsked, response: Response) -> ConnectionShown:
    """Register a connection; the API key is sealed and never shown again."""
    key = asked.api_key.get_secret_value()
    return _shown(await changes.create_connection(plane, asker, asked.wish(), key), response)


@router.post("/connections/preview", responses=problems(422))
async def preview_connection(plane: Plane, _asker: Reader, asked: PreviewAsked) -> PreviewShown:
    """What webservice a pasted address means, and the gateway URL of a name; nobody is asked, nothing is saved."""
    return PreviewShown.of(
        await preview_store(
            plane, asked.store_url, name=asked.name, id_shop=asked.id_shop, virtual_uri=asked.virtual_uri
        )
    )


@router.get("/connections/{reference:path}", responses={200: _ETAG, **problems(404)})
async def get_connection(plane: Plane, _asker: Reader, reference: str, response: Response) -> ConnectionShown:
    """One connection, by slug, id or name."""
    return _shown(await connections.get_connection(plane, reference), response)


@router.patch("/connections/{reference:path}", responses={200: _ETAG, **problems(404, 409, 412, 422)})
async def update_connection(
    plane: Plane, asker: Writer, reference: str, edited: ConnectionEdited, response: Response, if_match: IfMatch = None
) -> ConnectionShown:
    """Change what is given, with the API key entered again; the slug stays."""
    given = edited.settings(given_only=True)
    key = edited.api_key.get_secret_value()
    since = await _asked_version(plane, reference, if_match)
    changed = await changes.update_connection(plane, asker, reference, given, key, unless_changed_since=since)
    return _shown(changed, response)


@router.put("/connections/{reference:path}", responses={200: _ETAG, **problems(404, 409, 412, 422)})
async def replace_connection(
    plane: Plane,
    asker: Writer,
    reference: str,
    replaced: ConnectionReplaced,
    response: Response,
    if_match: IfMatch = None,
) -> ConnectionShown:
    """Set everything anew, with the API key entered again; what is left out gets its default, the slug stays."""
    settings = replaced.settings(given_only=False)
    key = replaced.api_key.get_secret_value()
    since = await _asked_version(plane, reference, if_match)
    changed = await changes.update_connection(plane, asker, reference, settings, key, unless_changed_since=since)
    return _shown(changed, response)


@router.delete("/connections/{reference:path}", responses=problems(404))
async def delete_connection(plane: Plane, asker: Writer, reference: str) -> dict[str, str]:
    """Delete a connection; its slug is never given again."""
    return {"slug": await changes.delete_connection(plane, asker.actor, reference)}


@router.post("/connections/{reference:path}/clone", status_code=201, responses={201: _ETAG, **problems(404, 409, 422)})
async def clone_connection(
    plane: Plane, asker: Writer, reference: str, cloned: ConnectionCloned, response: Response
) -> ConnectionShown:
    """A further connection set up like this one, with an API key of its own."""
    key = cloned.api_key.get_secret_value()
    made = await changes.clone_connection(plane, asker, reference, name=cloned.name, api_key=key)
    return _shown(made, response)


@router.post("/connections/{reference:path}/enable", responses={200: _ETAG, **problems(404, 409)})
async def enable_connection(plane: Plane, asker: Writer, reference: str, response: Response) -> ConnectionShown:
    """Switch a connection on."""
    return _shown(await changes.set_enabled(plane, asker.actor, reference, enabled=True), response)


@router.post("/connections/{reference:path}/disable", responses={200: _ETAG, **problems(404)})
async def disable_connection(plane: Plane, asker: Writer, reference: str, response: Response) -> ConnectionShown:
    """Switch a connection off; the gateway answers ``connection_disabled``."""
    return _shown(await changes.set_enabled(plane, asker.actor, reference, enabled=False), response)


def _shown(connection: Connection, response: Response) -> ConnectionShown:
    """As shown, with its version as ``ETag``."""
    found = ConnectionShown.of(connection)
    response.headers["ETag"] = f'"{found.version}"'
    return found


async def _asked_version(plane: Plane, reference: str, if_match: str | None) -> float | None:
    """The ``updated_at`` that the connection must still have; None when any will do. Raises EditedMeanwhileError."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = await connections.get_connection(plane, reference)
    if not is_matched(if_match, ConnectionShown.of(found).version):
        raise changes.edited_meanwhile(found.slug)
    return found.updated_at
