"""Notice targets: who is told, where, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.server.operations import notice_targets as targets
from agent.server.operations.failures import ConflictError, InvalidError, OperationError
from agent.server.operations.notice_targets import NoticeTarget, TargetWish
from agent.server.operations.notices import EVENTS
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission
from agent.server.panel.forms import paging_of
from agent.server.panel.shown_once import Kind
from agent.server.panel.visitor import Changes, Sees, Submitted, Visitor, errors_of

router = APIRouter(prefix="/notices/targets")

_READS = Depends(Sees(Permission.NOTICES_READ))
_WRITES = Depends(Sees(Permission.NOTICES_WRITE))
_WRITE = Depends(Changes(Permission.NOTICES_WRITE))


@router.get("")
async def list_page(visitor: Visitor = _READS) -> Response:
    """All targets."""
    limit, offset, search = paging_of(visitor.request)
    listed = await targets.list_targets(visitor.plane, Paging(limit, offset, search))
    return visitor.page("notices/targets.html", listed=listed, limit=limit, offset=offset)


@router.get("/new")
async def new_page(visitor: Visitor = _WRITES) -> Response:
    """The form of a new target."""
    return _new(visitor, {"kind": "webhook", "events": []}, {})


@router.post("")
async def create(submitted: Submitted = _WRITE) -> Response:
    """Make a target; the secret of a webhook is shown once."""
    visitor, values = submitted.visitor, _sent(submitted)
    try:
        wish = TargetWish(values["name"], _kind(values["kind"]), values["address"], values["events"] or None)
        made, secret = await targets.create_target(visitor.plane, visitor.principal, wish)
    except OperationError as error:
        return _new(visitor, _shown(values, values["kind"]), errors_of(error), 422)
    if secret is None:
        return visitor.go(f"/notices/targets/{made.id}", done="created")
    return _secret_page(visitor, made, secret)


@router.get("/{target_id}")
async def target_page(target_id: str, visitor: Visitor = _READS) -> Response:
    """One target."""
    return _page(visitor, await targets.get_target(visitor.plane, target_id))


@router.post("/{target_id}/edit")
async def edit(target_id: str, submitted: Submitted = _WRITE) -> Response:
    """Change it; an address that is left empty stays."""
    visitor, values = submitted.visitor, _sent(submitted)
    target = await targets.get_target(visitor.plane, target_id)
    changes: dict[str, Any] = {"name": values["name"], "events": values["events"] or None}
    if values["address"]:
        changes["address"] = values["address"]
    try:
        await targets.change_target(visitor.plane, visitor.principal, target.id, changes)
    except OperationError as error:
        return _page(visitor, target, _shown(values, target.kind), errors_of(error), 422)
    return visitor.go(f"/notices/targets/{target.id}", done="saved")


@router.get("/{target_id}/{action}")
async def confirm_page(target_id: str, action: str, visitor: Visitor = _WRITES) -> Response:
    """What an action means, before it is done."""
    if action not in ("delete", "rotate"):
        return visitor.page("problem.html", status=404, title="Not found", sentence="")
    target = await targets.get_target(visitor.plane, target_id)
    return visitor.page("notices/target_confirm.html", target=target, action=action)


@router.post("/{target_id}/test")
async def test(target_id: str, submitted: Submitted = _WRITE) -> Response:
    """Send a test notice now, and say what became of it."""
    visitor = submitted.visitor
    target = await targets.get_target(visitor.plane, target_id)
    try:
        outcome = await targets.test_target(visitor.plane, visitor.principal, target.id)
    except OperationError as error:
        return _page(visitor, target, None, errors_of(error), 409)
    if not outcome.ok:
        return _page(visitor, target, None, {"": f"The test notice was not delivered. {outcome.error}"}, 502)
    return visitor.go(f"/notices/targets/{target.id}", done="sent")


@router.post("/{target_id}/rotate")
async def rotate(target_id: str, submitted: Submitted = _WRITE) -> Response:
    """A new signing secret, shown once."""
    visitor = submitted.visitor
    target, secret = await targets.rotate_secret(visitor.plane, visitor.principal, target_id)
    return _secret_page(visitor, target, secret)


@router.post("/{target_id}/{action}")
async def act(target_id: str, action: str, submitted: Submitted = _WRITE) -> Response:
    """Enable, disable or delete it."""
    visitor = submitted.visitor
    plane, asker = visitor.plane, visitor.principal
    if action == "delete":
        await targets.delete_target(plane, asker, target_id)
        return visitor.go("/notices/targets", done="deleted")
    if action not in ("enable", "disable"):
        return visitor.page("problem.html", status=404, title="Not found", sentence="")
    try:
        target = await targets.change_target(plane, asker, target_id, {"enabled": action == "enable"})
    except ConflictError as error:
        return _page(visitor, await targets.get_target(plane, target_id), None, errors_of(error), 409)
    return visitor.go(f"/notices/targets/{target.id}", done=f"{action}d")


def _sent(submitted: Submitted) -> dict[str, Any]:
    return {name: submitted.text(name) for name in ("name", "kind", "address")} | {"events": submitted.texts("events")}


def _shown(values: dict[str, Any], kind: str) -> dict[str, Any]:
    """What was typed, less the URL of a webhook, which is a secret of its own."""
    return values if kind == "email" else {**values, "address": ""}


def _kind(text: str) -> Literal["webhook", "email"]:
    if text == "webhook":
        return "webhook"
    if text == "email":
        return "email"
    raise InvalidError("Choose webhook or e-mail.", field="kind")


def _new(visitor: Visitor, values: Mapping[str, Any], errors: Mapping[str, str], status: int = 200) -> Response:
    can_mail = visitor.plane.facts.can_mail
    context = {"values": values, "errors": errors, "events": EVENTS, "can_mail": can_mail, "target": None}
    return visitor.page("notices/target_new.html", status=status, **context)


def _page(
    visitor: Visitor,
    target: NoticeTarget,
    values: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    shown = values or {"name": target.name, "events": list(target.events or ()), "address": ""}
    if target.kind == "email" and not values:
        shown = {**shown, "address": target.address_shown}
    context = {"target": target, "values": shown, "errors": errors or {}, "events": EVENTS}
    return visitor.page("notices/target.html", status=status, **context)


def _secret_page(visitor: Visitor, target: NoticeTarget, secret: str) -> Response:
    return visitor.show_once(
        Kind.NOTICE_SECRET, Permission.NOTICES_WRITE, "notices/secret.html", target=target, secret_text=secret
    )
