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
async def export(plane: Plane, asker: Reader) -> TransferDocument:
    """All living agents, connections and client keys, without a secret; client keys only for who may read them."""
    return document_of(await export_all(plane, asker))


@router.post("/import", responses=problems(409, 422))
async def import_(plane: Plane, asker: Minter, document: TransferDocument) -> ImportShown:
    """Register what is not there yet: agents and client keys get new secrets, connections are off without their key."""
    wishes = [(each.slug, each.wish()) for each in document.connections]
    agents = [agent.model_dump() for agent in document.agents]
    asker.require(Permission.CONNECTIONS_WRITE)
    keys = [each.wish() for each in document.client_keys]
    return ImportShown.of(await import_all(plane, asker, agents, wishes, keys))
