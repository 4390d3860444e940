"""Administration: people, API tokens, audit trail, settings, and one's own account."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.server.operations import api_tokens, people
from agent.server.operations.audit_trail import list_audit
from agent.server.operations.failures import InvalidError, OperationError
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Role
from agent.server.operations.sessions import change_password, end_other_sessions, list_sessions
from agent.server.panel.forms import paging_of, unix_time
from agent.server.panel.pages.entrance import peer_of
from agent.server.panel.shown_once import Kind
from agent.server.panel.visitor import AnyVisitor, Changes, Sees, Submitted, Visitor, errors_of
from agent.server.panel_gate import SESSION_COOKIE

router = APIRouter()

_PEOPLE = Depends(Sees(Permission.PEOPLE))
_PEOPLE_CHANGE = Depends(Changes(Permission.PEOPLE))
_TOKENS = Depends(Sees(Permission.API_TOKENS))
_TOKENS_CHANGE = Depends(Changes(Permission.API_TOKENS))
_AUDIT = Depends(Sees(Permission.AUDIT_READ))
_STATUS = Depends(Sees(Permission.STATUS_READ))
_OWN = Depends(Changes())


@router.get("/people")
async def people_page(visitor: Visitor = _PEOPLE) -> Response:
    """Who may use the panel."""
    return await _people(visitor)


@router.post("/people")
async def invite(submitted: Submitted = _PEOPLE_CHANGE) -> Response:
    """Invite somebody, and show the link this once."""
    visitor = submitted.visitor
    try:
        role = _role(submitted.text("role"))
        invited = await people.invite_person(visitor.plane, visitor.principal, name=submitted.text("name"), role=role)
    except OperationError as error:
        values = {"name": submitted.text("name"), "role": submitted.text("role")}
        return await _people(visitor, values=values, errors=dict(errors_of(error)), status=422)
    return _link_page(visitor, invited)


@router.post("/people/{person_id}/{action}")
async def change_person(person_id: str, action: str, submitted: Submitted = _PEOPLE_CHANGE) -> Response:
    """Role, enable, disable, link, delete."""
    visitor = submitted.visitor
    plane, asker = visitor.plane, visitor.principal
    try:
        if action == "role":
            await people.set_role(plane, asker, person_id, _role(submitted.text("role")))
        elif action in ("enable", "disable"):
            await people.set_person_enabled(plane, asker, person_id, enabled=action == "enable")
        elif action == "delete":
            await people.delete_person(plane, asker.actor, person_id)
        elif action == "link":
            invited = await people.renew_link(plane, asker, person_id)
            return _link_page(visitor, invited)
    except OperationError as error:
        return await _people(visitor, errors={"": str(error)}, status=409)
    return visitor.go("/people", done="deleted" if action == "delete" else "saved")


@router.get("/api-tokens")
async def tokens_page(visitor: Visitor = _TOKENS) -> Response:
    """What programs use."""
    return await _api_tokens(visitor)


@router.post("/api-tokens")
async def create_token(submitted: Submitted = _TOKENS_CHANGE) -> Response:
    """Mint a token, and show it this once."""
    visitor = submitted.visitor
    values = {
        "name": submitted.text("name"),
        "role": submitted.text("role"),
        "scopes": submitted.texts("scopes"),
        "expires_at": submitted.text("expires_at"),
    }
    try:
        expires_at = unix_time(submitted.text("expires_at"))
        if submitted.text("expires_at") and expires_at is None:
            raise InvalidError("Write a date and time.", field="expires_at")
        made = await api_tokens.create_api_token(
            visitor.plane,
            visitor.principal,
            name=submitted.text("name"),
            role=_role(submitted.text("role")),
            scopes=submitted.texts("scopes") or None,
            expires_at=expires_at,
        )
    except OperationError as error:
        return await _api_tokens(visitor, values=values, errors=dict(errors_of(error)), status=422)
    return visitor.show_once(
        Kind.API_TOKEN, Permission.API_TOKENS, "tokens/shown.html", made=made, base=_panel_url(visitor)
    )


@router.post("/api-tokens/{token_id}/revoke")
async def revoke_token(token_id: str, submitted: Submitted = _TOKENS_CHANGE) -> Response:
    """Stop a token."""
    await api_tokens.revoke_api_token(submitted.visitor.plane, submitted.visitor.actor, token_id)
    return submitted.visitor.go("/api-tokens", done="revoked")


@router.get("/audit")
async def audit_page(visitor: Visitor = _AUDIT) -> Response:
    """Who did what."""
    limit, offset, search = paging_of(visitor.request)
    query = visitor.request.query_params
    since, until = unix_time(query.get("since", "")), unix_time(query.get("until", ""))
    listed = await list_audit(visitor.plane, Paging(limit, offset, search), since=since, until=until)
    return visitor.page("audit.html", listed=listed, limit=limit, offset=offset, q=search)


@router.get("/settings")
async def settings_page(visitor: Visitor = _STATUS) -> Response:
    """How this server is set; what is secret is not among it."""
    plane = visitor.plane
    return visitor.page(
        "settings.html",
        settings=visitor.request.app.state.settings,
        facts=plane.facts,
        report=plane.report() if plane.report is not None else None,
        ssh_address=plane.facts.public_ssh_address or await plane.remembered("public_ssh_address"),
        gateway_url=await plane.gateway_url(),
        database=plane.engine.dialect.name,
    )


@router.get("/account")
async def account_page(visitor: AnyVisitor) -> Response:
    """One's own account."""
    return await _account(visitor, {})


@router.post("/account/password")
async def own_password(submitted: Submitted = _OWN) -> Response:
    """Change the own password."""
    visitor = submitted.visitor
    try:
        if submitted.raw("password") != submitted.raw("password_again"):
            raise InvalidError("The two passwords are not the same.", field="password_again")
        await change_password(
            visitor.plane,
            visitor.session.person_id,
            old=submitted.raw("old_password"),
            new=submitted.raw("password"),
            cookie_value=_cookie(visitor),
            peer=peer_of(visitor.request),
        )
    except OperationError as error:
        return await _account(visitor, dict(errors_of(error)), 422)
    return visitor.go("/account", done="password")


@router.post("/account/end-other-sessions")
async def end_others(submitted: Submitted = _OWN) -> Response:
    """End all sessions but this one."""
    visitor = submitted.visitor
    await end_other_sessions(visitor.plane, visitor.session.person_id, _cookie(visitor))
    return visitor.go("/account", done="sessions")


def _link_page(visitor: Visitor, invited: people.Invited) -> Response:
    return visitor.show_once(
        Kind.LINK, Permission.PEOPLE, "people/link.html", invited=invited, base=_panel_url(visitor)
    )


def _cookie(visitor: Visitor) -> str:
    return visitor.request.cookies[SESSION_COOKIE]


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidError("Choose a role.", field="role") from None


def _panel_url(visitor: Visitor) -> str:
    return visitor.plane.facts.public_panel_url or str(visitor.request.base_url).rstrip("/")


async def _people(
    visitor: Visitor,
    *,
    values: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    limit, offset, search = paging_of(visitor.request)
    listed = await people.list_people(visitor.plane, Paging(limit, offset, search))
    return visitor.page(
        "people/list.html",
        listed=listed,
        limit=limit,
        offset=offset,
        q=search,
        roles=[role.value for role in Role],
        values=values or {"role": "viewer"},
        errors=errors or {},
        status=status,
    )


async def _api_tokens(
    visitor: Visitor,
    *,
    values: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    limit, offset, search = paging_of(visitor.request)
    return visitor.page(
        "tokens/list.html",
        listed=await api_tokens.list_api_tokens(visitor.plane, Paging(limit, offset, search)),
        limit=limit,
        offset=offset,
        roles=[role.value for role in Role],
        scopes=api_tokens.SCOPES,
        values=values or {"role": "viewer", "scopes": []},
        errors=errors or {},
        status=status,
    )


async def _account(visitor: Visitor, errors: dict[str, str], status: int = 200) -> Response:
    sessions = await list_sessions(visitor.plane, visitor.session.person_id)
    return visitor.page("account.html", sessions=sessions, errors=errors, status=status)
