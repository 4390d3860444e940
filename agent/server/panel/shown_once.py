"""Pages with a secret that was made just now: kept in memory for a while, so that a reload does not send a form again.

The answer to the form is a redirect to ``/shown/KIND/TICKET``. The ticket opens nothing by itself: the page belongs to
the session that sent the form. It is forgotten when somebody leaves it, logs out, or after ten minutes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request

from agent.server.operations.principal import Permission
from agent.server.operations.sessions import Session

KEPT_S: Final = 600.0
KEPT_MAX: Final = 100
"""Pages of all sessions; beyond it the oldest is forgotten."""

KEPT_PER_SESSION_MAX: Final = 8

_PREFIX: Final = "/shown/"

Facts = Mapping[str, Any]


class Kind(StrEnum):
    """What is shown; part of the address, so that it can be said what to do once the secret is forgotten."""

    AGENT_TOKEN = "agent-token"  # noqa: S105 - a name
    CLIENT_KEY = "client-key"
    API_TOKEN = "api-token"  # noqa: S105 - a name
    LINK = "link"
    NOTICE_SECRET = "notice-secret"  # noqa: S105 - a name
    IMPORT = "import"


@dataclass(frozen=True, slots=True, eq=False)
class ShownPage:
    """One page: ``facts`` of its template hold the secret, ``fresh`` what may change between two looks.

    ``permission`` is asked for at each look.
    """

    kind: Kind
    permission: Permission
    template: str
    facts: Facts = field(repr=False)
    fresh: Callable[[], Awaitable[Facts]] | None = None

    async def context(self) -> dict[str, Any]:
        """The values of the template, now. Raises OperationError when what it is about is gone."""
        return {**self.facts, **(await self.fresh() if self.fresh is not None else {})}


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    page: ShownPage
    owner: str = field(repr=False)  # the CSRF token: no two sessions have the same
    timer: asyncio.TimerHandle


class ShownOnce:
    """The pages of this process; nothing of them is written anywhere."""

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self._kept_s = kept_s
        self._pages: OrderedDict[str, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pages)

    def keep(self, session: Session, page: ShownPage) -> str:
        """Keep a page for the session that asked for its secret; the path where it is."""
        own = self._tickets(session)
        for ticket in own[: max(len(own) - KEPT_PER_SESSION_MAX + 1, 0)]:
            self._forget(ticket)
        while len(self._pages) >= KEPT_MAX:
            self._forget(next(iter(self._pages)))
        ticket = secrets.token_urlsafe(16)
        timer = asyncio.get_running_loop().call_later(self._kept_s, self._forget, ticket)
        self._pages[ticket] = _Kept(page, session.csrf_token, timer)
        return f"{_PREFIX}{page.kind}/{ticket}"

    def find(self, session: Session, kind: str, ticket: str) -> ShownPage | None:
        """The page, for the session that it belongs to; None when it is forgotten, or was never."""
        kept = self._pages.get(ticket)
        is_own = kept is not None and kept.owner == session.csrf_token and kept.page.kind == kind
        return kept.page if kept is not None and is_own else None

    def forget(self, session: Session, kind: str, ticket: str) -> None:
        """The secret was copied; what is forgotten already is no error."""
        if self.find(session, kind, ticket) is not None:
            self._forget(ticket)

    def forget_all(self, session: Session) -> None:
        """The session ends."""
        for ticket in self._tickets(session):
            self._forget(ticket)

    def note_request(self, session: Session, request: Request) -> None:
        """Forget the page that a browser has left: it names it as the referrer of the next page.

        A reload names the page before; streams and fragments are no navigation.
        """
        if not self._pages or request.headers.get("sec-fetch-mode") != "navigate":
            return
        left = urlsplit(request.headers.get("referer", "")).path
        if left.startswith(_PREFIX) and left != request.url.path:
            kind, _, ticket = left.removeprefix(_PREFIX).partition("/")
            self.forget(session, kind, ticket)

    def _tickets(self, session: Session) -> list[str]:
        return [ticket for ticket, kept in self._pages.items() if kept.owner == session.csrf_token]

    def _forget(self, ticket: str) -> None:
        kept = self._pages.pop(ticket, None)
        if kept is not None:
            kept.timer.cancel()
