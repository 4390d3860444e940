"""Who looks at a page, what they may do, and how a page is answered."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.principal import ForbiddenError, Permission, Principal
from agent.server.operations.sessions import Session
from agent.server.panel.install import InstallChoices, install_choices
from agent.server.panel.rendering import render
from agent.server.panel.shown_once import Facts, Kind, ShownOnce, ShownPage
from agent.server.panel_gate import PanelGate, check_same_site, principal_of

FIELDS_MAX: Final = 400


class LoginNeededError(Exception):
    """Nobody is logged in: the page ``path`` can be gone to after the login."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is logged in, at one request."""

    request: Request
    plane: ControlPlane
    session: Session
    principal: Principal

    @property
    def actor(self) -> str:
        """For the audit trail."""
        return self.principal.actor

    @property
    def is_htmx(self) -> bool:
        """True when a script of a page asks for a fragment, not a person for a page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def shown_once(self) -> ShownOnce:
        """The pages with secrets that were made just now."""
        store: ShownOnce = self.request.app.state.shown_once
        return store

    async def install(self) -> InstallChoices:
        """How an agent is installed from here."""
        return await install_choices(self.request.app.state.downloads, self.plane)

    def may(self, name: str) -> bool:
        """May they? ``name`` is that of a Permission."""
        return self.principal.may(Permission[name])

    def page(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401 - any template's values
        """A page, or with ``is_htmx`` a fragment: that is the template's matter."""
        return HTMLResponse(self.text(template, **context), status)

    def text(self, template: str, **context: Any) -> str:  # noqa: ANN401 - any template's values
        """The same as text."""
        return render(
            template,
            {
                "visitor": self,
                "csrf_token": self.session.csrf_token,
                "path": self.request.url.path,
                "query": self.request.query_params,
                "now": time.time(),
                "scheme": self.request.cookies.get("scheme", ""),
                **context,
            },
        )

    def go(self, path: str, **query: str) -> Response:
        """To another page, by GET, also from a form; ``done`` names what a banner there says."""
        target = f"{path}?{urlencode(query)}" if query else path
        if self.is_htmx:
            return Response(status_code=204, headers={"HX-Redirect": target})
        return RedirectResponse(target, status_code=303)

    def show_once(
        self,
        kind: Kind,
        permission: Permission,
        template: str,
        *,
        fresh: Callable[[], Awaitable[Facts]] | None = None,
        **facts: Any,  # noqa: ANN401 - any template's values
    ) -> Response:
        """The answer to a form that made a secret: to a page of its own, see ``ShownPage``."""
        return self.go(self.shown_once.keep(self.session, ShownPage(kind, permission, template, facts, fresh)))


@dataclass(frozen=True, slots=True)
class Submitted:
    """A form that a page of ours sent."""

    visitor: Visitor
    fields: FormData

    def text(self, name: str, default: str = "") -> str:
        """The last value of a field, without blanks around it."""
        value = self.fields.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def raw(self, name: str) -> str:
        """A field exactly as typed, such as a password; "" when it is absent."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for value in self.fields.getlist(name) if isinstance(value, str)]

    def has(self, name: str) -> bool:
        """True for a box that is ticked."""
        return name in self.fields


class Sees:
    """Dependency of a page: the visitor, who has ``permission`` (None = whoever is logged in)."""

    def __init__(self, permission: Permission | None = None) -> None:
        self._permission = permission

    async def __call__(self, request: Request) -> Visitor:
        """Raises LoginNeededError, ForbiddenError."""
        gate: PanelGate = request.app.state.gate
        session = await gate.session(request)
        if session is None:
            raise LoginNeededError(request.url.path if request.method == "GET" else "/")
        visitor = Visitor(request, request.app.state.plane, session, principal_of(session))
        visitor.shown_once.note_request(session, request)
        if self._permission is not None:
            visitor.principal.require(self._permission)
        return visitor


class Changes:
    """Dependency of what a form is sent to: the form, once it is proven that a page of ours sent it."""

    def __init__(self, permission: Permission | None = None) -> None:
        self._sees = Sees(permission)

    async def __call__(self, request: Request) -> AsyncIterator[Submitted]:
        """A file of the form is closed after the answer. Raises LoginNeededError, ForbiddenError."""
        visitor = await self._sees(request)
        async with request.form(max_files=1, max_fields=FIELDS_MAX) as fields:
            token = request.headers.get("x-csrf-token") or fields.get("csrf_token", "")
            check_same_site(request, visitor.session, token if isinstance(token, str) else "")
            yield Submitted(visitor, fields)


AnyVisitor = Annotated[Visitor, Depends(Sees())]


def safe_next(path: str) -> str:
    """A path of this panel to go to after the login; anything else is the overview."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/logout")) and path.isprintable()
    return quote(path, safe="/-_.~%") if is_ours else "/"


def errors_of(error: object) -> Mapping[str, str]:
    """The sentence of an operation's failure under the field that it names, else under ``""``."""
    field = getattr(error, "field", None)
    return {field or "": str(error)}


__all__ = [
    "AnyVisitor",
    "Changes",
    "ForbiddenError",
    "LoginNeededError",
    "Sees",
    "Submitted",
    "Visitor",
    "errors_of",
    "safe_next",
]
