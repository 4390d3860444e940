"""Why an operation did not happen; the API turns these into answers, the commands into one sentence."""

from __future__ import annotations

from typing import ClassVar

from agent.errors import AgentError


class OperationError(AgentError):
    """Nothing was changed. ``name`` is stable; ``str(error)`` is one sentence without secrets."""

    name: ClassVar[str] = "operation_failed"

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class NotFoundError(OperationError):
    """No record of that id, name or slug."""

    name = "not_found"


class ConflictError(OperationError):
    """The record exists already, or something else stands in the way."""

    name = "conflict"


class EditedMeanwhileError(OperationError):
    """The record is not any more what the one who asks has seen of it."""

    name = "edited_meanwhile"


class InvalidError(OperationError):
    """A value cannot be accepted; ``field`` names it."""

    name = "invalid"


class AddressMissingError(OperationError):
    """A public address has to be given before this can be done; ``field`` names the setting."""

    name = "address_missing"


class NoRoomError(OperationError):
    """The disk is full."""

    name = "storage_full"
