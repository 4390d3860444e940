"""Logging in and out, and the one-time links that let somebody choose a password."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import OperationError
from agent.server.operations.one_time_links import look_at_link, redeem_link
from agent.server.operations.sessions import LoginRefusedError, NewSession, TooManyAttemptsError, log_in, log_out
from agent.server.panel.rendering import render
from agent.server.panel.visitor import errors_of, safe_next
from agent.server.panel_gate import SESSION_COOKIE, PanelGate, can_keep_session, check_same_site, is_from_here

router = APIRouter()


@router.get("/login")
async def login_page(request: Request) -> Response:
    """The form, or why it cannot work here."""
    gate: PanelGate = request.app.state.gate
    if await gate.session(request) is not None:
        return RedirectResponse(safe_next(request.query_params.get("next", "/")), status_code=303)
    return _login(request, 200)


@router.post("/login")
async def login(request: Request) -> Response:
    """Check name and password; the answer of a right one sets the cookie."""
    fields = await _form(request)
    if not can_keep_session(request) or not is_from_here(request):  # nobody is logged in as somebody else (login CSRF)
        return _login(request, 403)
    plane: ControlPlane = request.app.state.plane
    try:
        begun = await log_in(plane, fields.get("name", ""), fields.get("password", ""), peer_of(request))
    except LoginRefusedError as error:
        return _login(request, 422, name=fields.get("name", ""), failure=str(error))
    except TooManyAttemptsError as error:
        page = _login(request, 429, name=fields.get("name", ""), failure=str(error))
        page.headers["Retry-After"] = str(round(error.retry_after_s) + 1)
        return page
    return _entered(begun, safe_next(fields.get("next", "/")))


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session; one that has ended already is no error."""
    gate: PanelGate = request.app.state.gate
    session = await gate.session(request)
    fields = await _form(request)
    if session is not None:
        check_same_site(request, session, fields.get("csrf_token", ""))
        await log_out(request.app.state.plane, request.cookies[SESSION_COOKIE])
        request.app.state.shown_once.forget_all(session)
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return answer


@router.get("/welcome/{token}")
async def welcome_page(request: Request, token: str) -> Response:
    """The form of a one-time link; looking at it does not use it up."""
    return await _welcome(request, token, 200)


@router.post("/welcome/{token}")
async def welcome(request: Request, token: str) -> Response:
    """Set the password, and log in."""
    fields = await _form(request)
    if not can_keep_session(request) or not is_from_here(request):
        return await _welcome(request, token, 403)
    password = fields.get("password", "")
    if password != fields.get("password_again", ""):
        errors = {"password_again": "The two passwords are not the same."}
        return await _welcome(request, token, 422, errors, fields.get("name", ""))
    try:
        begun = await redeem_link(
            request.app.state.plane, token, name=fields.get("name"), password=password, peer=peer_of(request)
        )
    except OperationError as error:
        return await _welcome(request, token, 422, dict(errors_of(error)), fields.get("name", ""))
    return _entered(begun, "/")


def peer_of(request: Request) -> str:
    """The address that asks."""
    return request.client.host if request.client is not None else "unknown"


def _entered(begun: NewSession, path: str) -> Response:
    answer = RedirectResponse(path, status_code=303)
    answer.set_cookie(SESSION_COOKIE, begun.cookie_value, path="/", secure=True, httponly=True, samesite="lax")
    return answer


async def _form(request: Request) -> dict[str, str]:
    fields = await request.form(max_files=0, max_fields=20)
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _login(request: Request, status: int, *, name: str = "", failure: str = "") -> HTMLResponse:
    context = {
        "can_keep_session": can_keep_session(request),
        "address": request.url.netloc,
        "next": safe_next(request.query_params.get("next", "/")),
        "values": {"name": name},
        "failure": failure,
        "scheme": request.cookies.get("scheme", ""),
    }
    return HTMLResponse(render("login.html", context), status)


async def _welcome(
    request: Request, token: str, status: int, errors: dict[str, str] | None = None, name: str = ""
) -> HTMLResponse:
    facts = await look_at_link(request.app.state.plane, token)
    context = {
        "can_keep_session": can_keep_session(request),
        "address": request.url.netloc,
        "facts": facts,
        "values": {"name": name},
        "errors": errors or {},
        "scheme": request.cookies.get("scheme", ""),
    }
    return HTMLResponse(render("welcome.html", context), status if facts is not None else 404)
