"""Errors as problem details (RFC 9457), which never repeat what was sent: it may have been a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from agent.errors import AgentError
from agent.server.db.full_disk import is_full
from agent.server.operations.failures import (
    AddressMissingError,
    ConflictError,
    EditedMeanwhileError,
    InvalidError,
    NoRoomError,
    NotFoundError,
    OperationError,
)
from agent.server.operations.principal import ForbiddenError
from agent.server.operations.sessions import LoginRefusedError, TooManyAttemptsError
from agent.server.panel_gate import NotAuthenticatedError
from agent.settings_errors import wanted

MEDIA_TYPE: Final = "application/problem+json"

_LOG = structlog.get_logger()
_STATUS: Final[Mapping[type[OperationError], int]] = {
    NotFoundError: 404,
    ConflictError: 409,
    AddressMissingError: 409,
    EditedMeanwhileError: 412,
    InvalidError: 422,
    ForbiddenError: 403,
    NotAuthenticatedError: 401,
    LoginRefusedError: 403,
    TooManyAttemptsError: 429,
    NoRoomError: 503,
}
_TITLES: Final = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Edited meanwhile",
    413: "Too long",
    415: "Unsupported media type",
    422: "Not acceptable as it is",
    429: "Too many attempts",
    500: "Internal error",
    503: "Not available now",
}
_COLLIDED: Final = (
    "Somebody else made or deleted something in this moment that this change collides with (a name that exists once, "
    "say): nothing was changed. Look at it again and repeat the change."
)
_UNAVAILABLE: Final = (
    "The database does not answer; the gateway goes on with what it knows. Try again, or look at the server's log."
)
_FULL: Final = (
    "The disk of the database is full, and nothing was changed; the gateway goes on with what it knows. Free some "
    "space there, then try again."
)
_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")  # our own names look so; a key in a wrong place does not


class ProblemShown(BaseModel):
    """Why a request was not done (RFC 9457); ``name`` is stable, ``detail`` a sentence."""

    type: str
    title: str
    status: int
    name: str
    detail: str
    field: str | None = None
    errors: list[dict[str, str]] | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a path that answers with these problems, beside those that any path may answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemShown"}}}
    return {
        status: {"description": _TITLES[status], "content": content} for status in sorted({401, 403, 503, *statuses})
    }


class Problem(JSONResponse):
    """A problem details answer."""

    media_type = MEDIA_TYPE

    def __init__(self, status: int, name: str, detail: str, **members: object) -> None:
        content = {
            "type": f"urn:integration-server:{name}",
            "title": _TITLES.get(status, "Error"),
            "status": status,
            "name": name,
            "detail": detail,
        }
        super().__init__(content | {key: value for key, value in members.items() if value is not None}, status)


def install_problem_handlers(app: FastAPI) -> None:
    """Let every error of ``app`` leave as a problem."""
    # Starlette's signature says Exception for each; it calls a handler with the class it is registered for.
    app.add_exception_handler(RequestValidationError, _validation)  # type: ignore[arg-type]
    app.add_exception_handler(OperationError, _operation)  # type: ignore[arg-type]
    app.add_exception_handler(AgentError, _agent_error)
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _unexpected)


async def _validation(_request: Request, error: RequestValidationError) -> Problem:
    problems = [_one_problem(problem) for problem in error.errors()]
    detail = "; ".join(_half_sentence(problem) for problem in problems[:5])
    return Problem(422, "invalid", f"{detail}.", errors=problems)


def _half_sentence(problem: Mapping[str, str]) -> str:
    """``methods.1`` is the second value of methods."""
    name, _, index = problem["field"].partition(".")
    place = f"{name} (value {int(index) + 1} of it)" if index.isdigit() else problem["field"]
    return f"{place} {problem['message']}"


def _one_problem(problem: ErrorDetails) -> dict[str, str]:
    """Place of pydantic's error, and what is wanted there in words; its ``input``, ``ctx`` and ``url`` are left out."""
    places = [str(part) for part in problem["loc"] if part != "body"]
    shown = ".".join(part if _FIELD_NAME.fullmatch(part) or part.isdigit() else "(?)" for part in places)
    if problem["type"] == "json_invalid":
        return {"field": "body", "message": "is not JSON"}
    if problem["type"] == "extra_forbidden":
        return {"field": shown, "message": "is not known here"}
    return {"field": shown or "body", "message": wanted(problem)}


def status_of(error: Exception) -> int:
    """The status of an operation that did not happen."""
    return next((status for kind, status in _STATUS.items() if type(error) is kind), 400)


def problem_of(error: OperationError) -> Problem:
    """The answer for an operation that did not happen."""
    problem = Problem(status_of(error), error.name, str(error), field=error.field)
    if isinstance(error, TooManyAttemptsError):
        problem.headers["Retry-After"] = str(round(error.retry_after_s) + 1)
    if isinstance(error, NotAuthenticatedError):
        problem.headers["WWW-Authenticate"] = "Bearer"  # not Basic: browsers would open a window of their own
    return problem


async def _operation(_request: Request, error: OperationError) -> Problem:
    return problem_of(error)


async def _agent_error(_request: Request, error: Exception) -> Problem:
    return Problem(500, "failed", str(error))


async def _http(_request: Request, error: HTTPException) -> Problem:
    problem = Problem(error.status_code, "http", str(error.detail))
    problem.headers.update(error.headers or {})
    return problem


def database_failure(error: Exception) -> tuple[int, str, str]:
    """Status, name and sentence of what the database did not do; the driver's own words may hold values."""
    if isinstance(error, DataError):  # PostgreSQL: NUL in a text, a number beyond its type
        return 422, "invalid", "A value holds a character or a number that cannot be stored."
    if isinstance(error, IntegrityError):  # two changes in the same moment: each looked before the other had written
        return 409, "conflict", _COLLIDED
    if is_full(error):
        return 503, NoRoomError.name, _FULL
    return 503, "database_unavailable", _UNAVAILABLE


def log_database_failure(request: Request, error: Exception) -> None:
    """One line, unless it is a value that was sent."""
    if isinstance(error, IntegrityError):
        _LOG.warning("api.changes_collided", method=request.method, path=request.url.path)
    elif not isinstance(error, DataError):
        _LOG.error("api.database_failed", method=request.method, path=request.url.path, error=type(error).__name__)


async def _database(request: Request, error: Exception) -> Problem:
    log_database_failure(request, error)
    return Problem(*database_failure(error))


async def _left(_request: Request, _error: Exception) -> Problem:
    """Who asked is gone in the middle of the body: nobody reads this, and nothing went wrong here."""
    return Problem(400, "client_gone", "The request ended in the middle of its body.")


async def _unexpected(request: Request, error: Exception) -> Problem:
    _LOG.error("api.failed", method=request.method, path=request.url.path, error=type(error).__name__)
    return Problem(
        500,
        "failed",
        f"Unexpected {type(error).__name__}, which is a fault of this program: the log of the server has more.",
    )
