"""What an exchange asks of whoever began it. Types only."""

from __future__ import annotations

from typing import Protocol

from agent.errors import ExchangeError


class ExchangeClient(Protocol):
    """Who asked: a client's connection, or the server itself when it tests a connection."""

    body_done: bool

    def send(self, data: bytes) -> None:
        """Bytes of the answer."""

    def want_body(self) -> None:
        """Body bytes are welcome (by ``Exchange.body``)."""

    def hold_body(self) -> None:
        """No body bytes for now."""

    def answered(self, *, close: bool) -> None:
        """The answer is whole; ``close``: the connection cannot go on."""

    def refuse(self, error: ExchangeError) -> None:
        """There is no answer of the store: this error is the answer."""

    def cut(self) -> None:
        """The answer breaks off in its middle."""
