"""The panel as an ASGI application: pages, scripts and styles, and the control API beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp

import agent
from agent.server.api.application import ROUTERS, install_documents
from agent.server.api.problems import database_failure, install_problem_handlers, log_database_failure, status_of
from agent.server.body_limit import BodyLimit
from agent.server.downloads import Downloads
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import OperationError
from agent.server.operations.sessions import TooManyAttemptsError
from agent.server.panel.pages import PAGES
from agent.server.panel.rendering import render
from agent.server.panel.security_fields import SecurityFields
from agent.server.panel.shown_once import ShownOnce
from agent.server.panel.static_files import STATIC
from agent.server.panel.test_runs import TestRuns
from agent.server.panel.visitor import LoginNeededError
from agent.server.panel_gate import PanelGate
from agent.server.settings import ServerSettings
from agent.server.trusted_proxies import TrustedProxies

_TITLES: Final = {
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not possible now",
    429: "Too many",
    503: "Not possible now",
}


def create_panel(plane: ControlPlane, settings: ServerSettings) -> ASGIApp:
    """The application over ``plane``; ``settings`` say which proxies are believed, and are shown to people."""
    app = FastAPI(
        title="integration-server",
        version=agent.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.plane = plane
    app.state.settings = settings
    app.state.gate = PanelGate(plane)
    app.state.test_runs = TestRuns()
    app.state.downloads = Downloads(settings.downloads_dirs)
    app.state.downloading = set()
    app.state.shown_once = ShownOnce()
    install_problem_handlers(app)
    _install_page_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    install_documents(app)
    for router in PAGES:
        app.include_router(router, include_in_schema=False)
    app.get("/static/{path:path}", include_in_schema=False)(_static)
    return TrustedProxies(SecurityFields(BodyLimit(app)), settings.trusted_proxies)


async def _static(path: str) -> Response:
    found = STATIC.answer(path)
    if found is None:
        raise HTTPException(404)
    return found


def _install_page_handlers(app: FastAPI) -> None:
    """A browser that asked for a page gets a page, also when something is wrong."""
    problems = dict(app.exception_handlers)

    def for_pages(kind: type[Exception], told: Callable[[Request, Exception], tuple[int, str]]) -> None:
        of_api = problems[kind]

        async def answer(request: Request, error: Exception) -> Response:
            if not _wants_page(request):
                made = of_api(request, error)
                found: Response = await made if isinstance(made, Awaitable) else made
                return found
            status, sentence = told(request, error)
            page = HTMLResponse(
                render("problem.html", _bare(request, title=_TITLES.get(status, "This went wrong"), sentence=sentence)),
                status,
            )
            if isinstance(error, TooManyAttemptsError):
                page.headers["Retry-After"] = str(round(error.retry_after_s) + 1)
            return page

        app.add_exception_handler(kind, answer)

    for_pages(OperationError, lambda _request, error: (status_of(error), str(error)))
    for_pages(HTTPException, lambda _request, error: (getattr(error, "status_code", 500), ""))
    for_pages(SQLAlchemyError, _of_database)
    for_pages(Exception, lambda _request, _error: (500, ""))
    app.add_exception_handler(LoginNeededError, _to_login)  # type: ignore[arg-type] # Starlette says Exception for each


def _of_database(request: Request, error: Exception) -> tuple[int, str]:
    log_database_failure(request, error)
    status, _, sentence = database_failure(error)
    return status, sentence


async def _to_login(request: Request, error: LoginNeededError) -> Response:
    target = "/login" if error.path == "/" else f"/login?next={error.path}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"HX-Redirect": target})
    return RedirectResponse(target, status_code=303)


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


def _bare(request: Request, **context: object) -> dict[str, object]:
    return {"scheme": request.cookies.get("scheme", ""), **context}
