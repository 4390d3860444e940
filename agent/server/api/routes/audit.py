"""``/v1/audit``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.audit import AuditShown
from agent.server.operations.principal import Permission

router = APIRouter(prefix="/v1", tags=["audit"])


@router.get("/audit", dependencies=[Depends(Needs(Permission.AUDIT_READ))])
async def audit_trail(plane: Plane, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[AuditShown]:
    """Who did what, newest first."""
    return [AuditShown.of(entry) for entry in await plane.audit_trail(limit)]
