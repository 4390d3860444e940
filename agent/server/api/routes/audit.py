"""``/v1/audit``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.audit import AuditShown
from agent.server.api.models.page import Limit, Offset, Page, Search
from agent.server.api.problems import problems
from agent.server.operations.audit_trail import list_audit
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission

router = APIRouter(prefix="/v1", tags=["audit"])

Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


@router.get("/audit", dependencies=[Depends(Needs(Permission.AUDIT_READ))], responses=problems(422))
async def audit_trail(
    plane: Plane,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Search = "",
    actor: Text = "",
    action: Annotated[str, Query(max_length=60, pattern=r"^[a-z_.]*$", description="its beginning: agent.")] = "",
    subject: Text = "",
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Page[AuditShown]:
    """Who did what, newest first."""
    found = await list_audit(
        plane,
        Paging(limit, offset, q),
        actor=actor,
        action=action,
        subject=subject,
        since=since.timestamp() if since else None,
        until=until.timestamp() if until else None,
    )
    return Page(items=[AuditShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)
