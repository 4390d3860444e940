"""The control API as an ASGI application; what serves it (a socket, or a command in process) is not its matter."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

import agent
from agent.server.api.gate import Gate, LocalGate
from agent.server.api.problems import ProblemShown, install_problem_handlers, problems
from agent.server.api.routes import (
    access,
    agents,
    audit,
    client_keys,
    connections,
    exchanges,
    maintenance,
    notice_targets,
    notices,
    status,
    tests,
    transfer,
)
from agent.server.operations.control_plane import ControlPlane

ROUTERS = (
    status.router,
    agents.router,
    tests.router,
    connections.router,
    client_keys.router,
    audit.router,
    notices.router,
    notice_targets.router,
    exchanges.router,
    access.router,
    transfer.router,
)


def create_application(plane: ControlPlane, gate: Gate | None = None) -> FastAPI:
    """The application over ``plane``; ``gate`` says who asks (None = the admin socket's).

    No interactive documentation here, since browsers cannot reach the admin socket.
    """
    app = FastAPI(
        title="integration-server",
        version=agent.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.plane = plane
    app.state.gate = gate or LocalGate()
    install_problem_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    if gate is None:
        app.include_router(maintenance.router)
    install_documents(app)
    return app


def install_documents(app: FastAPI) -> None:
    """The OpenAPI document of what has been included so far; it names the API alone."""

    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # FastAPI's own way to change the document

    async def document() -> JSONResponse:
        return JSONResponse(app.openapi())

    app.get("/v1/openapi.json", include_in_schema=False)(document)


def _tell_problems(method: str, operation: dict[str, Any]) -> None:
    """What FastAPI takes for granted is a problem here, too: wrong parameters, and a body that is no JSON.

    Any body can be too long, and any change can collide with another one in the same moment.
    """
    answers = operation["responses"]
    if method != "get":
        answers["409"] = problems(409)[409]
    if "422" in answers or "requestBody" in operation:
        answers["422"] = problems(422)[422]
    if "requestBody" in operation:
        answers |= {str(status): problems(status)[status] for status in (400, 413)}


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 with the shape of problems and the ways to authenticate, which FastAPI cannot know."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            routes=app.routes,
            summary="Agents, connections, client keys and their tests, of one integration server.",
        )
        components = made.setdefault("components", {})
        components.setdefault("schemas", {})["ProblemShown"] = ProblemShown.model_json_schema()
        components["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "An API token; scopes and role narrow it."}
        }
        made["security"] = [{"token": []}]
        for item in made["paths"].values():
            for method, operation in item.items():
                _tell_problems(method, operation)
        components["schemas"].pop("HTTPValidationError", None)
        components["schemas"].pop("ValidationError", None)
        app.openapi_schema = made
    return app.openapi_schema
