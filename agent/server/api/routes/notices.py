"""``/v1/notices``."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.notices import NoticeShown
from agent.server.api.models.page import Limit, Offset, Page
from agent.server.api.problems import problems
from agent.server.operations.notices import NoticeEvent, list_notices
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission

router = APIRouter(prefix="/v1", tags=["notices"])


@router.get("/notices", dependencies=[Depends(Needs(Permission.NOTICES_READ))], responses=problems(422))
async def get_notices(
    plane: Plane, limit: Limit = 100, offset: Offset = 0, event: NoticeEvent | None = None
) -> Page[NoticeShown]:
    """What the server told by itself, newest first, and how far it came with each target."""
    found = await list_notices(plane, Paging(limit, offset), event=event)
    return Page(items=[NoticeShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)
