"""The panel on a port of loopback, with people of each role, and a client that asks as a browser or a program does."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import delete, update

from agent.server.db.access_tables import ONE_TIME_LINKS, PEOPLE
from agent.server.operations.people import invite_person
from agent.server.operations.principal import Principal, Role
from agent.server.operations.sessions import begin_session
from agent.server.panel.application import create_panel
from agent.server.panel_gate import SESSION_COOKIE
from agent.server.panel_server import PanelServer
from agent.server.settings import ServerSettings
from tests.kit.control_plane import ControlApi

PASSWORD = "correct horse battery"
ADMIN = Principal("tester", Role.ADMIN)

_kept: list[str] = []


@dataclass
class Answer:
    """One answer of the panel; field names are in lower case."""

    status: int
    fields: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body of an answer of the API."""
        return json.loads(self.text)


@dataclass
class Panel:
    """Asks the panel. ``cookies`` and ``csrf`` are those of the people, by role."""

    port: int
    api: ControlApi
    tls: ssl.SSLContext | None = None
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, who: str = "", **fields: str) -> Answer:
        """GET as the person with this role; nobody when empty."""
        return await self.ask("GET", path, who, fields)

    async def post(self, path: str, form: Mapping[str, object], who: str = "", **fields: str) -> Answer:
        """POST of a form of a page of the panel, with the CSRF token of who sends it."""
        sent = dict(form)
        if who:
            sent.setdefault("csrf_token", self.csrf[who])
        fields = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"} | fields
        return await self.ask("POST", path, who, fields, urlencode(sent, doseq=True).encode())

    async def call(self, method: str, path: str, token: str, body: object = None) -> Answer:
        """A request of a program to ``/v1``, with an API token."""
        fields = {"accept": "application/json", "authorization": f"Bearer {token}", "content_type": "application/json"}
        return await self.ask(method, f"/v1/{path}", "", fields, b"" if body is None else json.dumps(body).encode())

    async def ask(
        self, method: str, path: str, who: str = "", fields: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Any request; underscores in names of fields become hyphens."""
        return await asyncio.to_thread(self._ask, method, path, who, fields or {}, body)

    def _ask(self, method: str, path: str, who: str, fields: Mapping[str, str], body: bytes | None) -> Answer:
        sent = {"accept": "text/html"} | {name.replace("_", "-"): value for name, value in fields.items()}
        if who:
            sent["cookie"] = f"{SESSION_COOKIE}={self.cookies[who]}"
        client: http.client.HTTPConnection
        if self.tls is not None:
            client = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.tls)
        else:
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(client):
            client.request(method, path, body, sent)
            answer = client.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())


@contextlib.asynccontextmanager
async def panel_of(
    api: ControlApi, settings: ServerSettings | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Panel]:
    """The panel over the control plane of ``api``; nobody is known yet."""
    server = PanelServer(create_panel(api.plane, settings or ServerSettings()), tls)
    port = await server.start("127.0.0.1", 0)
    try:
        yield Panel(port, api)
    finally:
        await server.close()


async def let_everybody_in(panel: Panel) -> None:
    """An admin called admin, an editor called editor, a viewer called viewer, each with a session.

    As if each had used a link and chosen PASSWORD, which is hashed once in a process: that takes a third of a second.
    """
    plane = panel.api.plane
    if not _kept:
        _kept.append(await plane.passwords.hash(PASSWORD))
    for role in Role:
        person = (await invite_person(plane, ADMIN, name=role.value, role=role)).person
        async with plane.note_change("tester") as change:
            await change.connection.execute(delete(ONE_TIME_LINKS).where(ONE_TIME_LINKS.c.person_id == person.id))
            await change.connection.execute(
                update(PEOPLE)
                .where(PEOPLE.c.id == person.id)
                .values(password_hash=_kept[0], password_changed_at=change.now, last_login_at=change.now)
            )
            begun = await begin_session(plane, change, person.id, "127.0.0.1")
        panel.cookies[role.value] = begun.cookie_value
        panel.csrf[role.value] = begun.session.csrf_token


def token_in(page: str) -> str:
    """The CSRF token of the first form of a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]
