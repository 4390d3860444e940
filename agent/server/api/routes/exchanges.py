"""``/v1/exchanges`` and ``/v1/traffic``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.exchanges import ExchangeShown, MinuteShown, TrafficShown
from agent.server.api.problems import problems
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError
from agent.server.operations.principal import Permission
from agent.server.traffic import KEPT_MAX, Traffic

router = APIRouter(prefix="/v1", tags=["exchanges"], dependencies=[Depends(Needs(Permission.EXCHANGES_READ))])


@router.get("/exchanges", responses=problems(409, 422))
async def list_exchanges(
    plane: Plane,
    limit: Annotated[int, Query(ge=1, le=KEPT_MAX)] = KEPT_MAX,
    connection: Annotated[str, Query(max_length=60, description="slug")] = "",
    errors_only: bool = False,
) -> list[ExchangeShown]:
    """The last exchanges of the gateway, newest first; at most 200 are kept, in memory."""
    found = _traffic(plane).last(limit, connection=connection, errors_only=errors_only)
    return [ExchangeShown.of(entry) for entry in found]


@router.get("/traffic", responses=problems(409))
async def traffic(plane: Plane) -> TrafficShown:
    """Requests, errors and times of the last hour."""
    found = _traffic(plane)
    return TrafficShown(
        total=found.total,
        errors=found.errors,
        last_5_minutes=MinuteShown.of(found.lately()),
        minutes=[MinuteShown.of(minute) for minute in found.minutes()],
    )


def _traffic(plane: ControlPlane) -> Traffic:
    if plane.traffic is None:
        raise ConflictError("No server is running on this data directory: start it with integration-server serve.")
    return plane.traffic
