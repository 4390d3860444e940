"""``/v1/status``."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

import agent
from agent.server.api.gate import Needs, Plane
from agent.server.api.problems import problems
from agent.server.operations import agents
from agent.server.operations.principal import Permission

router = APIRouter(prefix="/v1", tags=["status"])


@router.get("/status", dependencies=[Depends(Needs(Permission.STATUS_READ))], responses=problems())
async def status(plane: Plane) -> JSONResponse:
    """How the running server is doing; without one, that there is none."""
    if plane.report is None:
        return JSONResponse({"running": False, "version": agent.__version__, "state": "not_running"})
    # Plain values: FastAPI's encoder would walk 2000 tunnels in 90 ms, while exchanges wait.
    offline = await agents.offline_agents(plane)
    return JSONResponse(replace(plane.report(), offline_agents=offline).to_json())
