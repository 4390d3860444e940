"""Why a tunnel, or an attempt at one, ended, and whether that calls for the slow lane. Pure: standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EndReason(Enum):
    """Found by our own observation, never by the class of an error: a server can send any disconnect code it likes.

    The value is the name in logs and status.
    """

    UNREACHABLE = "unreachable"
    PROXY_REFUSED = "proxy_refused"
    HANDSHAKE = "handshake_failed"
    WRONG_HOST_KEY = "wrong_host_key"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason's name
    NOT_GRANTED = "not_granted"
    PLACE_TAKEN = "place_taken"
    REPLACED = "replaced"
    REVOKED = "revoked"
    DISABLED = "disabled"
    PROTOCOL = "protocol_error"
    SILENT = "silent"
    LOST = "lost"
    SERVER_LEFT = "server_left"
    OWN_WISH = "own_wish"
    DEFECT = "defect"

    @property
    def needs_a_person(self) -> bool:
        """True when trying soon cannot help: the slow lane, with one ERROR."""
        return self in _SLOW


_SLOW = frozenset(
    {
        EndReason.PROXY_REFUSED,
        EndReason.WRONG_HOST_KEY,
        EndReason.TOKEN_REFUSED,
        EndReason.NOT_GRANTED,
        EndReason.PLACE_TAKEN,
        EndReason.REVOKED,
        EndReason.DISABLED,
    }
)


@dataclass(frozen=True, slots=True)
class Ending:
    """One end.

    ``detail`` is a sentence for a person (texts of the server escaped), ``hint_s`` how long the server asked to wait.
    """

    reason: EndReason
    detail: str = ""
    hint_s: float | None = None
