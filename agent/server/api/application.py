"""The control API as an ASGI application; what serves it (a socket, or a command in process) is not its matter."""

from __future__ import annotations

from fastapi import FastAPI

import agent
from agent.server.api.problems import install_problem_handlers
from agent.server.api.routes import router
from agent.server.operations.control_plane import ControlPlane


def create_application(plane: ControlPlane) -> FastAPI:
    """The application over ``plane``; no interactive documentation here, since browsers cannot reach it."""
    app = FastAPI(
        title="integration-server",
        version=agent.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.plane = plane
    install_problem_handlers(app)
    app.include_router(router)
    return app
