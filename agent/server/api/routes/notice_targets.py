"""``/v1/notice-targets``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.notice_targets import (
    NoticeTargetAsked,
    NoticeTargetEdited,
    NoticeTargetShown,
    NoticeTargetTested,
    NoticeTargetWithSecret,
)
from agent.server.api.models.page import Limit, Offset, Page, Search
from agent.server.api.problems import problems
from agent.server.operations import notice_targets
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Principal

router = APIRouter(prefix="/v1", tags=["notices"])

Reader = Annotated[Principal, Depends(Needs(Permission.NOTICES_READ))]
Writer = Annotated[Principal, Depends(Needs(Permission.NOTICES_WRITE))]


@router.get("/notice-targets", responses=problems(422))
async def list_notice_targets(
    plane: Plane, _asker: Reader, limit: Limit = 100, offset: Offset = 0, q: Search = ""
) -> Page[NoticeTargetShown]:
    """Notice targets by name, and what came of their last notices."""
    found = await notice_targets.list_targets(plane, Paging(limit, offset, q))
    items = [NoticeTargetShown.of(each) for each in found.items]
    return Page(items=items, total=found.total, limit=limit, offset=offset)


@router.post("/notice-targets", status_code=201, responses=problems(409, 422))
async def create_notice_target(plane: Plane, asker: Writer, asked: NoticeTargetAsked) -> NoticeTargetWithSecret:
    """Have notices sent to a webhook or an e-mail address; a webhook's signing secret is shown this once."""
    target, secret = await notice_targets.create_target(plane, asker, asked.wish())
    return NoticeTargetWithSecret(target=NoticeTargetShown.of(target), signing_secret=secret)


@router.get("/notice-targets/{reference:path}", responses=problems(404, 422))
async def get_notice_target(plane: Plane, _asker: Reader, reference: str) -> NoticeTargetShown:
    """One notice target, by id or name."""
    return NoticeTargetShown.of(await notice_targets.get_target(plane, reference))


@router.patch("/notice-targets/{reference:path}", responses=problems(404, 409, 422))
async def update_notice_target(
    plane: Plane, asker: Writer, reference: str, edited: NoticeTargetEdited
) -> NoticeTargetShown:
    """Change what is given; switching off ends what waits, a new address is tried at once with it."""
    return NoticeTargetShown.of(await notice_targets.change_target(plane, asker, reference, edited.changes()))


@router.delete("/notice-targets/{reference:path}", responses=problems(404, 422))
async def delete_notice_target(plane: Plane, asker: Writer, reference: str) -> dict[str, str]:
    """Forget a notice target, and what waits for it."""
    return {"name": await notice_targets.delete_target(plane, asker, reference)}


@router.post("/notice-targets/{reference:path}/test", responses=problems(404, 409, 422))
async def test_notice_target(plane: Plane, asker: Writer, reference: str) -> NoticeTargetTested:
    """Send a test notice now, and tell what came of it."""
    return NoticeTargetTested.of(await notice_targets.test_target(plane, asker, reference))


@router.post("/notice-targets/{reference:path}/rotate-secret", responses=problems(404, 422))
async def rotate_notice_target_secret(plane: Plane, asker: Writer, reference: str) -> NoticeTargetWithSecret:
    """Give a webhook a new signing secret, shown this once; the old one ends at once."""
    target, secret = await notice_targets.rotate_secret(plane, asker, reference)
    return NoticeTargetWithSecret(target=NoticeTargetShown.of(target), signing_secret=secret)
