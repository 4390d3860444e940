"""Client keys: list, page, and the forms that change them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.policy import METHODS
from agent.server.operations import client_keys
from agent.server.operations.client_keys import NewClientKey
from agent.server.operations.connections import list_connections
from agent.server.operations.failures import InvalidError, OperationError
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission
from agent.server.operations.records import ClientKey
from agent.server.panel.forms import paging_of, unix_time
from agent.server.panel.shown_once import Kind
from agent.server.panel.visitor import Changes, Sees, Submitted, Visitor, errors_of

router = APIRouter(prefix="/client-keys")

_READS = Depends(Sees(Permission.CLIENT_KEYS_READ))
_MINTS = Depends(Sees(Permission.CLIENT_KEYS_MINT))
_WRITE = Depends(Changes(Permission.CLIENT_KEYS_WRITE))
_MINT = Depends(Changes(Permission.CLIENT_KEYS_MINT))

STATES = ("active", "disabled", "expired", "revoked")


@router.get("")
async def list_page(visitor: Visitor = _READS) -> Response:
    """All client keys."""
    limit, offset, search = paging_of(visitor.request)
    state = visitor.request.query_params.get("state", "")
    listed = await client_keys.list_client_keys(
        visitor.plane, Paging(limit, offset, search), state=state if state in STATES else None
    )
    return visitor.page(
        "keys/list.html", listed=listed, limit=limit, offset=offset, q=search, state=state, states=STATES
    )


@router.get("/new")
async def new_page(visitor: Visitor = _MINTS) -> Response:
    """The form of a new key."""
    chosen = visitor.request.query_params.get("connection", "")
    values = {"name": "", "connections": [chosen] if chosen else [], "scope": "some", "methods": [], "expires_at": ""}
    return await _form(visitor, values, {}, None)


@router.post("")
async def create(submitted: Submitted = _MINT) -> Response:
    """Mint a key, and show it this once."""
    visitor, values = submitted.visitor, _sent(submitted)
    try:
        made = await client_keys.create_client_key(
            visitor.plane,
            visitor.actor,
            name=values["name"] or None,
            connections=values["connections"] if values["scope"] != "all" else (),
            all_connections=values["scope"] == "all",
            methods=values["methods"] or None,
            expires_at=_expiry(values),
        )
    except OperationError as error:
        return await _form(visitor, values, errors_of(error), None, 422)
    return _shown(visitor, made)


@router.get("/{key_id}")
async def key_page(key_id: str, visitor: Visitor = _READS) -> Response:
    """One key, without the key."""
    key = await client_keys.get_client_key(visitor.plane, key_id)
    values = {
        "name": key.name,
        "connections": list(key.connections or ()),
        "scope": "all" if key.connections is None else "some",
        "methods": list(key.methods or ()),
        "expires_at": time.strftime("%Y-%m-%dT%H:%M", time.gmtime(key.expires_at)) if key.expires_at else "",
    }
    return await _form(visitor, values, {}, key)


@router.post("/{key_id}/edit")
async def edit(key_id: str, submitted: Submitted = _WRITE) -> Response:
    """Change what it opens."""
    visitor, values = submitted.visitor, _sent(submitted)
    key = await client_keys.get_client_key(visitor.plane, key_id)
    try:
        changes: dict[str, Any] = {"name": values["name"], "methods": values["methods"] or None}
        expires_at = _expiry(values)
        if expires_at is None or key.expires_at is None or abs(expires_at - key.expires_at) >= 60:
            changes["expires_at"] = expires_at
        changes |= {"all_connections": True} if values["scope"] == "all" else {"connections": values["connections"]}
        await client_keys.update_client_key(visitor.plane, visitor.principal, key_id, changes)
    except OperationError as error:
        return await _form(visitor, values, errors_of(error), key, 422)
    return visitor.go(f"/client-keys/{key_id}", done="saved")


@router.post("/{key_id}/clone")
async def clone(key_id: str, submitted: Submitted = _MINT) -> Response:
    """A further key that opens the same."""
    visitor = submitted.visitor
    key = await client_keys.get_client_key(visitor.plane, key_id)
    return _shown(
        visitor,
        await client_keys.clone_client_key(visitor.plane, visitor.actor, key_id, name=f"{key.name[:90]} (copy)"),
    )


@router.post("/{key_id}/{action}")
async def act(key_id: str, action: str, submitted: Submitted = _WRITE) -> Response:
    """Enable, disable, revoke or delete it."""
    visitor = submitted.visitor
    plane, actor = visitor.plane, visitor.actor
    if action in ("enable", "disable"):
        await client_keys.set_client_key_enabled(plane, actor, key_id, enabled=action == "enable")
        return visitor.go(f"/client-keys/{key_id}", done=f"{action}d")
    if action == "revoke":
        await client_keys.revoke_client_key(plane, actor, key_id)
        return visitor.go(f"/client-keys/{key_id}", done="revoked")
    if action == "delete":
        await client_keys.delete_client_key(plane, actor, key_id)
        return visitor.go("/client-keys", done="deleted")
    return visitor.page("problem.html", status=404, title="Not found", sentence="")


def _sent(submitted: Submitted) -> dict[str, Any]:
    return {
        "name": submitted.text("name"),
        "connections": submitted.texts("connections"),
        "scope": submitted.text("scope", "some"),
        "methods": submitted.texts("methods"),
        "expires_at": submitted.text("expires_at"),
    }


def _expiry(values: Mapping[str, Any]) -> float | None:
    if not values["expires_at"]:
        return None
    at = unix_time(values["expires_at"])
    if at is None:
        raise InvalidError("Write a date and time.", field="expires_at")
    return at


async def _form(
    visitor: Visitor, values: Mapping[str, Any], errors: Mapping[str, str], key: ClientKey | None, status: int = 200
) -> Response:
    connections = (await list_connections(visitor.plane)).items
    template = "keys/page.html" if key is not None else "keys/new.html"
    context = {"key": key, "values": values, "errors": errors, "connections": connections, "methods": METHODS}
    return visitor.page(template, status=status, **context)


def _shown(visitor: Visitor, made: NewClientKey) -> Response:
    return visitor.show_once(
        Kind.CLIENT_KEY, Permission.CLIENT_KEYS_MINT, "keys/shown.html", made=made, key=made.client_key
    )
