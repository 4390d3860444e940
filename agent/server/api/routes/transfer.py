"""``/v1/export`` and ``/v1/import``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.transfer import ImportShown, TransferDocument, document_of
from agent.server.api.problems import problems
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.transfer import export_all, import_all

router = APIRouter(prefix="/v1", tags=["transfer"])

Minter = Annotated[Principal, Depends(Needs(Permission.AGENTS_MINT))]
Reader = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_READ))]


@router.get("/export", responses=problems())
async def export(plane: Plane, _asker: Reader) -> TransferDocument:
    """All living agents and connections, without tokens and API keys."""
    return document_of(await export_all(plane))


@router.post("/import", responses=problems(409, 422))
async def import_(plane: Plane, asker: Minter, document: TransferDocument) -> ImportShown:
    """Register what is not there yet: agents get new tokens, connections are off until their key is entered."""
    wishes = [(each.slug, each.wish()) for each in document.connections]
    agents = [agent.model_dump() for agent in document.agents]
    asker.require(Permission.CONNECTIONS_WRITE)
    return ImportShown.of(await import_all(plane, asker, agents, wishes))
