"""``/v1/connections``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.connections import (
    ConnectionAsked,
    ConnectionEdited,
    ConnectionShown,
    ConnectionTested,
)
from agent.server.operations import checks, connections
from agent.server.operations.principal import Permission, Principal

router = APIRouter(prefix="/v1", tags=["connections"])

Writer = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_WRITE))]


@router.get("/connections", dependencies=[Depends(Needs(Permission.CONNECTIONS_READ))])
async def list_connections(plane: Plane) -> list[ConnectionShown]:
    """Every connection."""
    return [ConnectionShown.of(found) for found in await connections.list_connections(plane)]


@router.post("/connections", status_code=201)
async def create_connection(plane: Plane, asker: Writer, asked: ConnectionAsked) -> ConnectionShown:
    """Register a connection; the API key is sealed and never shown again."""
    key = asked.api_key.get_secret_value()
    return ConnectionShown.of(await connections.create_connection(plane, asker.actor, asked.wish(), key))


@router.get("/connections/{reference:path}", dependencies=[Depends(Needs(Permission.CONNECTIONS_READ))])
async def get_connection(plane: Plane, reference: str) -> ConnectionShown:
    """One connection, by slug, id or name."""
    return ConnectionShown.of(await connections.get_connection(plane, reference))


@router.patch("/connections/{reference:path}")
async def update_connection(plane: Plane, asker: Writer, reference: str, edited: ConnectionEdited) -> ConnectionShown:
    """Change what is given, with the API key entered again; the slug stays."""
    key = edited.api_key.get_secret_value()
    return ConnectionShown.of(await connections.update_connection(plane, asker.actor, reference, edited.changes(), key))


@router.delete("/connections/{reference:path}")
async def delete_connection(plane: Plane, asker: Writer, reference: str) -> dict[str, str]:
    """Delete a connection; its slug is never given again."""
    return {"slug": await connections.delete_connection(plane, asker.actor, reference)}


@router.post("/connections/{reference:path}/enable")
async def enable_connection(plane: Plane, asker: Writer, reference: str) -> ConnectionShown:
    """Switch a connection on."""
    return ConnectionShown.of(await connections.set_enabled(plane, asker.actor, reference, enabled=True))


@router.post("/connections/{reference:path}/disable")
async def disable_connection(plane: Plane, asker: Writer, reference: str) -> ConnectionShown:
    """Switch a connection off; the gateway answers ``connection_disabled``."""
    return ConnectionShown.of(await connections.set_enabled(plane, asker.actor, reference, enabled=False))


@router.post("/connections/{reference:path}/test", dependencies=[Depends(Needs(Permission.CONNECTIONS_TEST))])
async def test_connection(plane: Plane, reference: str) -> ConnectionTested:
    """Ask the store for its permissions listing with the stored key, along the real path."""
    found = await connections.get_connection(plane, reference)
    return ConnectionTested.of(await checks.check_connection(plane, found.id))
