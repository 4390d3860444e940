"""Live exchanges: the last ones, without values and bodies."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.server.operations.principal import Permission
from agent.server.panel.live import live_fragment
from agent.server.panel.visitor import Sees, Visitor

router = APIRouter(prefix="/exchanges")

_SEES = Depends(Sees(Permission.EXCHANGES_READ))


@router.get("")
async def page(visitor: Visitor = _SEES) -> Response:
    """The page."""
    return visitor.page("exchanges.html", paused="paused" in visitor.request.query_params, **_facts(visitor))


@router.get("/live")
async def live(visitor: Visitor = _SEES) -> Response:
    """The list, again and again."""

    async def render() -> str:
        return visitor.text("parts/exchanges.html", **_facts(visitor))

    return live_fragment(visitor, render, Permission.EXCHANGES_READ)


def _facts(visitor: Visitor) -> dict[str, Any]:
    query, traffic = visitor.request.query_params, visitor.plane.traffic
    connection, errors_only = query.get("connection", "").strip()[:60], bool(query.get("errors"))
    found = traffic.last(connection=connection, errors_only=errors_only) if traffic is not None else []
    return {"exchanges": found, "connection": connection, "errors_only": errors_only}
