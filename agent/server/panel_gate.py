"""The gate of the panel's listener: an API token, or a session cookie with proof that its own page sent the request."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.requests import HTTPConnection

from agent.server.operations.api_tokens import find_token
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import OperationError
from agent.server.operations.principal import ForbiddenError, Principal
from agent.server.operations.sessions import Session, find_session

SESSION_COOKIE: Final = "__Host-integration-server"
"""The prefix makes browsers insist on https, on this very host, and on the whole path (RFC 6265bis 4.1.3.2)."""

CSRF_FIELD: Final = "X-CSRF-Token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class NotAuthenticatedError(OperationError):
    """Nobody is known: no credential, or one that does not work (any more)."""

    name = "not_authenticated"


class PanelGate:
    """Says who asks, for the API on the panel's listener."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def principal(self, request: Request) -> Principal:
        """The token's or the session's principal; a bearer token wins and the cookie is then ignored.

        Raises NotAuthenticatedError, and ForbiddenError for a change with a cookie that another page may have sent.
        """
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme:
            token = await find_token(self._plane, secret.strip()) if scheme.lower() == "bearer" else None
            if token is None:
                raise NotAuthenticatedError(
                    "The API token is unknown, expired or revoked, or who made it is disabled: make one with "
                    "integration-server tokens create, or on the page API tokens, and send it as Authorization: "
                    "Bearer TOKEN."
                )
            scopes = frozenset(token.scopes) if token.scopes is not None else None
            return Principal(f"token:{token.name}", token.role, scopes, maker_id=token.maker_id)
        session = await self.session(request)
        if session is None:
            raise NotAuthenticatedError(
                "Nobody is logged in: send an API token as Authorization: Bearer TOKEN, or log in to the panel."
            )
        if request.method not in _SAFE:
            check_same_site(request, session, request.headers.get(CSRF_FIELD, ""))
        return principal_of(session)

    async def session(self, connection: HTTPConnection) -> Session | None:
        """The session of the cookie, if there is one."""
        value = connection.cookies.get(SESSION_COOKIE)
        return await find_session(self._plane, value) if value else None


def principal_of(session: Session) -> Principal:
    """Who a session is."""
    return Principal(f"person:{session.name}", session.role, None, session.person_id)


def check_same_site(request: HTTPConnection, session: Session, csrf_token: str) -> None:
    """A change must come from a page of ours, and carry the session's token. Raises ForbiddenError."""
    if not is_from_here(request):
        raise ForbiddenError("This change was asked for by a page of another site, and was not made.")
    if not hmac.compare_digest(csrf_token.encode(), session.csrf_token.encode()):
        raise ForbiddenError("The form has expired with its session: load the page again and repeat the change.")


def is_from_here(request: HTTPConnection) -> bool:
    """Does a page of ours ask? ``Sec-Fetch-Site`` or ``Origin`` must say so, and neither may say otherwise."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None and origin is None:
        return False
    return site in (None, "same-origin", "none") and (origin is None or _is_own(origin, request))


def _is_own(origin: str, request: HTTPConnection) -> bool:
    """The same host and port; and over https no page that came over http, which anybody on the way can write."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    is_host = parts.netloc != "" and parts.netloc.lower() == request.headers.get("host", "").lower()
    return is_host and (parts.scheme == "https" or parts.scheme == request.url.scheme)


def can_keep_session(request: HTTPConnection) -> bool:
    """Will a browser keep a ``__Host-`` cookie from here? Over https, and on its own machine."""
    if request.url.scheme == "https":
        return True
    host = (request.url.hostname or "").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
