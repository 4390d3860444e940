"""Who may call a path of the API: each names its permission, and the gate of the listener says who asks."""

from __future__ import annotations

import re
from typing import Annotated, Protocol

from fastapi import Depends, Request

from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.principal import Permission, Principal, Role

_ACTOR_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Gate(Protocol):
    """How one listener knows who asks."""

    async def principal(self, request: Request) -> Principal:
        """Who asks. Raises an OperationError when nobody is known, or when the request may be forged."""


class LocalGate:
    """The admin socket: whoever can open it is an administrator, and is believed to be who they say."""

    async def principal(self, request: Request) -> Principal:
        """An admin with the name of the field ``Actor-Name``, for the audit trail."""
        name = request.headers.get("actor-name", "unknown")
        return Principal(f"local:{name if _ACTOR_NAME.fullmatch(name) else 'unknown'}", Role.ADMIN)


# Not plain functions: FastAPI would call those in a thread, and this process counts its own.


async def _plane(request: Request) -> ControlPlane:
    plane: ControlPlane = request.app.state.plane
    return plane


async def _principal(request: Request) -> Principal:
    gate: Gate = request.app.state.gate
    return await gate.principal(request)


Plane = Annotated[ControlPlane, Depends(_plane)]
Asker = Annotated[Principal, Depends(_principal)]


class Needs:
    """Dependency of a path: the asker, who has ``permission``."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, asker: Asker) -> Principal:
        """Raises ForbiddenError."""
        asker.require(self.permission)
        return asker
