"""The control plane of a server on a temporary directory, and its API called in process; no sockets."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent.doctor.answer import ProbeAnswer
from agent.server.api.application import create_application
from agent.server.api.in_process import call_in_process
from agent.server.data_directory import hold_data_directory
from agent.server.operations.control_plane import ControlPlane, InternalExchange
from agent.server.registry import Registry
from agent.server.routes import Route
from agent.server.settings import ServerSettings
from agent.server.state import opened_state

API_KEY = "CANARY0API0KEY0CANARY0API0KEY012"
SSH_ADDRESS = "agents.example.com:2222"
PAGE = {"items", "total", "limit", "offset"}


@dataclass
class ControlApi:
    """Calls ``/v1`` and hands out the parsed answer."""

    plane: ControlPlane
    app: Any
    text: str = ""

    async def call(
        self, method: str, path: str, body: object = None, actor: str = "tester", fields: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON (of a page its items); ``text`` keeps the answer as it came. ``bytes`` go as they are."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", "actor-name": actor, "content-length": str(len(content))}
        status, answer = await call_in_process(self.app, method, f"/v1/{path}", sent | (fields or {}), content)
        self.text = answer.decode()
        return status, items_of(json.loads(answer)) if answer else None

    def admits(self, slug: str, key: str) -> Any:
        """Route and grant that the gateway finds now for a client key on a connection; None when it refuses."""
        return self.plane.live.routing.find(slug.encode(), key.encode(), time.time())

    async def created(self, path: str, **body: object) -> Any:
        """POST that must succeed with 201."""
        status, answer = await self.call("POST", path, body)
        assert status == 201, answer
        return answer

    async def agent(self, name: str = "warehouse", **more: object) -> Any:
        """A registered agent."""
        return await self.created("agents", name=name, public_ssh_address=SSH_ADDRESS, **more)

    async def connection(self, name: str = "Shop Lyon", **more: object) -> Any:
        """A registered connection of mode cloud."""
        asked = {"mode": "cloud", "store_url": "https://shop.example.com/api/", "api_key": API_KEY} | more
        return await self.created("connections", name=name, **asked)


def items_of(answer: Any) -> Any:
    """The items of a page of a list; any other answer as it is."""
    return answer["items"] if isinstance(answer, dict) and set(answer) == PAGE else answer


@dataclass
class ScriptedExchange:
    """Stands for the gateway's internal exchange: answers by webservice address, and notes what was asked."""

    answers: dict[str, ProbeAnswer] = field(default_factory=dict)
    asked: list[tuple[Route, bytes]] = field(default_factory=list)

    async def __call__(self, route: Route, rest: bytes) -> ProbeAnswer:
        self.asked.append((route, rest))
        return self.answers[route.store.webservice_url]


@contextlib.asynccontextmanager
async def control_api(
    data_dir: Path,
    *,
    registry: Registry | None = None,
    exchange: InternalExchange | None = None,
    database_url: str | None = None,
) -> AsyncIterator[ControlApi]:
    """The API over the data directory; made on first use, as by the server."""
    settings = ServerSettings(data_dir=data_dir, database_url=SecretStr(database_url) if database_url else None)
    with hold_data_directory(data_dir):
        async with opened_state(settings, {}) as state:
            plane = state.control_plane("http://127.0.0.1:8080", registry=registry, exchange=exchange)
            yield ControlApi(plane, create_application(plane))
