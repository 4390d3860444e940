"""``/v1/maintenance``: keys and back-ups; on the admin socket only: who reads a back-up with keys reads everything."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from agent.server.api.gate import Needs, Plane
from agent.server.operations.backup import made_backup, restore_backup
from agent.server.operations.failures import ConflictError
from agent.server.operations.key_ring import KeyRingReport, look_at_keys, retire_keys, rotate_keys
from agent.server.operations.principal import Permission, Principal

router = APIRouter(prefix="/v1/maintenance", tags=["maintenance"])

Operator = Annotated[Principal, Depends(Needs(Permission.MAINTENANCE))]


class KeyRingShown(BaseModel):
    """The key ring, without its keys."""

    current: int
    sealed: dict[int, int]
    lost: int

    @classmethod
    def of(cls, report: KeyRingReport) -> KeyRingShown:
        """As shown."""
        return cls(current=report.current, sealed=report.sealed, lost=report.lost)


class RestoreShown(BaseModel):
    """What a restore did."""

    rows: int
    lost: int
    restart: bool


@router.get("/keys")
async def show_keys(plane: Plane, _asker: Operator) -> KeyRingShown:
    """Which keys are in the ring, and how much each has sealed."""
    return KeyRingShown.of(await look_at_keys(plane))


@router.post("/keys/rotate")
async def rotate(plane: Plane, asker: Operator) -> KeyRingShown:
    """Add a key, and seal everything anew with it."""
    return KeyRingShown.of(await rotate_keys(plane, asker.actor))


@router.post("/keys/retire")
async def retire(plane: Plane, asker: Operator) -> KeyRingShown:
    """Drop the keys that have sealed nothing."""
    return KeyRingShown.of(await retire_keys(plane, asker.actor))


class ArchiveResponse(FileResponse):
    """An archive, which is there as long as it is being sent."""

    def __init__(self, archive: Path, held: contextlib.AsyncExitStack) -> None:
        super().__init__(archive, media_type="application/gzip")
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, then let it go."""
        async with self._held:
            await super().__call__(scope, receive, send)


@router.get("/backup", status_code=200, response_class=ArchiveResponse)
async def backup(plane: Plane, _asker: Operator, with_keys: bool = False) -> ArchiveResponse:
    """The archive of a back-up."""
    async with contextlib.AsyncExitStack() as stack:
        archive = await stack.enter_async_context(made_backup(plane, _data_dir(plane), with_keys=with_keys))
        return ArchiveResponse(archive, stack.pop_all())


@router.post("/restore")
async def restore(plane: Plane, asker: Operator, request: Request, with_keys: bool = False) -> RestoreShown:
    """Put everything back as it is in the archive, which is the body."""
    done = await restore_backup(plane, asker.actor, _data_dir(plane), request.stream(), with_keys=with_keys)
    return RestoreShown(rows=done.rows, lost=done.lost, restart=done.restart)


def _data_dir(plane: Plane) -> Path:
    if plane.data_dir is None:
        raise ConflictError("This needs a data directory.")
    return plane.data_dir
