"""Errors as problem details (RFC 9457), which never repeat what was sent: it may have been a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from agent.errors import AgentError
from agent.server.operations.failures import (
    AddressMissingError,
    ConflictError,
    InvalidError,
    NotFoundError,
    OperationError,
)
from agent.server.operations.principal import ForbiddenError
from agent.settings_errors import wanted

MEDIA_TYPE: Final = "application/problem+json"

_LOG = structlog.get_logger()
_STATUS: Final[Mapping[type[OperationError], int]] = {
    NotFoundError: 404,
    ConflictError: 409,
    AddressMissingError: 409,
    InvalidError: 422,
    ForbiddenError: 403,
}
_TITLES: Final = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    422: "Not acceptable as it is",
    500: "Internal error",
}
_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")  # our own names look so; a key in a wrong place does not


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


async def _operation(_request: Request, error: OperationError) -> Problem:
    return Problem(_STATUS.get(type(error), 400), error.name, str(error), field=error.field)


async def _agent_error(_request: Request, error: Exception) -> Problem:
    return Problem(500, "failed", str(error))


async def _http(_request: Request, error: HTTPException) -> Problem:
    return Problem(error.status_code, "http", str(error.detail))


async def _unexpected(request: Request, error: Exception) -> Problem:
    _LOG.error("api.failed", method=request.method, path=request.url.path, error=type(error).__name__)
    return Problem(
        500,
        "failed",
        f"Unexpected {type(error).__name__}, which is a fault of this program: the log of the server has more.",
    )
