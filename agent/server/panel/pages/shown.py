"""What is shown once: the page of a secret that was made just now, until it is left."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.server.panel.shown_once import Kind
from agent.server.panel.visitor import AnyVisitor, Changes, Submitted, safe_next

router = APIRouter(prefix="/shown")

_OWN: Final = Depends(Changes())

_GONE: Final = {
    Kind.AGENT_TOKEN: (
        "The access token",
        "If it was not copied, open the agent and choose Replace token: it gets a new one.",
        ("/agents", "To the agents"),
    ),
    Kind.CLIENT_KEY: (
        "The client key",
        "If it was not copied, open the key, choose Clone, and use the copy; then revoke the first one.",
        ("/client-keys", "To the client keys"),
    ),
    Kind.API_TOKEN: (
        "The API token",
        "If it was not copied, revoke it and create another one.",
        ("/api-tokens", "To the API tokens"),
    ),
    Kind.LINK: (
        "The link",
        "If it was not copied, choose New link beside the person: the lost one stops working.",
        ("/people", "To the people"),
    ),
    Kind.NOTICE_SECRET: (
        "The signing secret",
        "If it was not copied, open the notice target and choose Replace secret.",
        ("/notices/targets", "To the notice targets"),
    ),
    Kind.IMPORT: (
        "What was imported",
        "If a token was not copied, open its agent and choose Replace token.",
        ("/agents", "To the agents"),
    ),
}


@router.get("/{kind}/{ticket}")
async def shown_page(kind: str, ticket: str, visitor: AnyVisitor) -> Response:
    """The page again; 410 (RFC 9110 15.5.11) and what to do when it is forgotten."""
    found = visitor.shown_once.find(visitor.session, kind, ticket)
    if found is not None:
        visitor.principal.require(found.permission)
        return visitor.page(found.template, **await found.context())
    if kind not in tuple(Kind):
        return visitor.page("problem.html", status=404, title="Not found", sentence="")
    what, sentence, to = _GONE[Kind(kind)]
    return visitor.page("shown_gone.html", status=410, what=what, sentence=sentence, to=to)


@router.post("/{kind}/{ticket}")
async def leave(kind: str, ticket: str, submitted: Submitted = _OWN) -> Response:
    """It was copied: forget it."""
    visitor = submitted.visitor
    visitor.shown_once.forget(visitor.session, kind, ticket)
    return visitor.go(safe_next(submitted.text("next")))
