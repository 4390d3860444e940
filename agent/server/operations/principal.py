"""Who asks the control plane, and what they may do. Pure.

A person or an API token has a role; a token can be narrowed further to scopes. Every path of the API and every page
of the panel names the one permission that it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from agent.server.operations.failures import OperationError


class Role(StrEnum):
    """What a person or token may do; each role may do what those before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """True when this role may do all that ``other`` may."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


class Permission(Enum):
    """What can be allowed: the scope of an API token, and the lowest role that has it."""

    STATUS_READ = ("status:read", Role.VIEWER)
    AGENTS_READ = ("agents:read", Role.VIEWER)
    AGENTS_WRITE = ("agents:write", Role.EDITOR)
    AGENTS_MINT = ("agents:mint", Role.ADMIN)  # an access token is shown: create, rotate
    CONNECTIONS_READ = ("connections:read", Role.VIEWER)
    CONNECTIONS_TEST = ("connections:test", Role.EDITOR)
    CONNECTIONS_WRITE = ("connections:write", Role.EDITOR)
    CONNECTIONS_UNVERIFIED = ("connections:unverified", Role.ADMIN)  # switch the verification of TLS off
    CLIENT_KEYS_READ = ("client-keys:read", Role.VIEWER)
    CLIENT_KEYS_WRITE = ("client-keys:write", Role.EDITOR)  # revoke, disable; nothing that opens more
    CLIENT_KEYS_MINT = ("client-keys:mint", Role.ADMIN)  # a key is shown, or opens more than before
    EXCHANGES_READ = ("exchanges:read", Role.VIEWER)
    NOTICES_READ = ("notices:read", Role.VIEWER)
    NOTICES_WRITE = ("notices:write", Role.ADMIN)  # who is told of what, and where that is sent
    AUDIT_READ = ("audit:read", Role.EDITOR)
    SETTINGS_WRITE = ("settings:write", Role.ADMIN)
    PEOPLE = ("people", Role.ADMIN)
    API_TOKENS = ("api-tokens", Role.ADMIN)
    MAINTENANCE = ("maintenance", Role.ADMIN)  # back-up, restore, key ring

    @property
    def scope(self) -> str:
        """Its name in an API token."""
        return self.value[0]

    @property
    def lowest_role(self) -> Role:
        """The lowest role that has it."""
        return self.value[1]


class ForbiddenError(OperationError):
    """The one who asks is known and may not do this."""

    name = "forbidden"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. ``actor`` is what the audit trail says (``person:anne``, ``token:ci``, ``local:root``).

    ``scopes`` None = all that the role has. ``person_id`` is who is logged in; ``maker_id`` is who made the API token
    with which is asked, None where nobody is known.
    """

    actor: str
    role: Role
    scopes: frozenset[str] | None = None
    person_id: str | None = None
    maker_id: str | None = None

    def may(self, permission: Permission) -> bool:
        """True when role and scopes have it."""
        return self.role.includes(permission.lowest_role) and (self.scopes is None or permission.scope in self.scopes)

    def covers(self, other: Principal) -> bool:
        """True when this one may do all that ``other`` may: only then may it make such a person or token."""
        return all(self.may(permission) for permission in Permission if other.may(permission))

    def require(self, permission: Permission) -> None:
        """Raises ForbiddenError, naming what is missing."""
        if not self.role.includes(permission.lowest_role):
            raise ForbiddenError(
                f"This needs the role {permission.lowest_role}, and {self.actor} is {self.role}: ask an admin."
            )
        if not self.may(permission):
            raise ForbiddenError(f"This API token lacks the scope {permission.scope}: make one that has it.")
