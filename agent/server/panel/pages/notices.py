"""Notices: what the server told by itself, and how far each came."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.server.operations.notice_targets import list_targets
from agent.server.operations.notices import EVENTS, list_notices
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission
from agent.server.panel.forms import paging_of
from agent.server.panel.visitor import Sees, Visitor

router = APIRouter(prefix="/notices")

_READS = Depends(Sees(Permission.NOTICES_READ))


@router.get("")
async def list_page(visitor: Visitor = _READS) -> Response:
    """All notices, newest first."""
    limit, offset, _ = paging_of(visitor.request)
    asked = visitor.request.query_params.get("event", "")
    event = asked if asked in EVENTS else None
    return visitor.page(
        "notices/list.html",
        listed=await list_notices(visitor.plane, Paging(limit, offset), event=event),
        limit=limit,
        offset=offset,
        event=event or "",
        events=EVENTS,
        has_target=bool((await list_targets(visitor.plane, Paging(1))).total),
    )
