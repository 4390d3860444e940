"""The control API as an ASGI application; what serves it (a socket, or a command in process) is not its matter."""

from __future__ import annotations

from fastapi import FastAPI

import agent
from agent.server.api.gate import Gate, LocalGate
from agent.server.api.problems import install_problem_handlers
from agent.server.api.routes import agents, audit, client_keys, connections, status
from agent.server.operations.control_plane import ControlPlane

ROUTERS = (status.router, agents.router, connections.router, client_keys.router, audit.router)


def create_application(plane: ControlPlane, gate: Gate | None = None) -> FastAPI:
    """The application over ``plane``; ``gate`` says who asks (None = the admin socket's).

    No interactive documentation here, since browsers cannot reach the admin socket.
    """
    app = FastAPI(
        title="integration-server",
        version=agent.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.plane = plane
    app.state.gate = gate or LocalGate()
    install_problem_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
