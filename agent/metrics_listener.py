"""The agent's pages over TCP, where the settings want them: one request per connection, everything bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from types import TracebackType
from typing import Final, Self, cast

import structlog

from agent.local_http import LocalHttp
from agent.loop_lag import LoopLag

CONVERSATION_MAX_S: Final = 5.0
CONNECTIONS_MAX: Final = 16

_log = structlog.get_logger("agent")


class MetricsListener:
    """Inside its block ``lag`` is measured, and ``http`` answers at ``place`` (address and port; None: nowhere).

    ``hosts`` are further names by which it may be asked for. Where it cannot listen the agent works all the same, and a
    warning says what to do. ``port`` is the one in use.
    """

    def __init__(self, place: tuple[str, int] | None, hosts: Collection[str], http: LocalHttp, lag: LoopLag) -> None:
        self.http = http
        self.port: int | None = None
        self.hosts: Collection[str] = {"localhost", socket.gethostname().lower(), *hosts}
        self._place = place
        self._lag = lag
        self._measuring: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()

    def __repr__(self) -> str:
        return f"<MetricsListener {self._place} conversations={len(self._conversations)}>"

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._conversations)

    async def __aenter__(self) -> Self:
        self._measuring = asyncio.create_task(self._lag.run(), name="loop-lag")
        if self._place is not None:
            await self._listen(*self._place)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for conversation in tuple(self._conversations):
            conversation.abort()
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)

    async def _listen(self, address: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Conversation(self), address, port)
        except OSError as error:
            _log.warning(
                "metrics.unavailable",
                address=address,
                port=port,
                error=error.strerror or type(error).__name__,
                remedy="free the port or set another one with listen in [metrics], then restart the agent",
            )
            return
        self.port = self._server.sockets[0].getsockname()[1]
        _log.info("metrics.listening", address=address, port=self.port)

    def admit(self, conversation: _Conversation) -> bool:
        """Room for one more? The files are those of the tunnels, too."""
        if len(self._conversations) >= CONNECTIONS_MAX:
            return False
        self._conversations.add(conversation)
        return True

    def forget(self, conversation: _Conversation) -> None:
        """It is over."""
        self._conversations.discard(conversation)


class _Conversation(asyncio.Protocol):
    """One connection: cut off when it takes too long, whatever it waits for."""

    def __init__(self, owner: MetricsListener) -> None:
        self._owner = owner
        self._received = bytearray()
        self._answered = False
        self._deadline: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._owner.admit(self):
            self._transport.abort()
            return
        self._deadline = asyncio.get_running_loop().call_later(CONVERSATION_MAX_S, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._received += data
        answer = self._owner.http.answer(self._received, self._owner.hosts)
        if answer is not None:
            self._answered = True
            self._transport.write(answer)
            self._transport.close()

    def eof_received(self) -> bool:
        return self._answered  # what was said is still to be sent

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        if self._deadline is not None:
            self._deadline.cancel()
        self._owner.forget(self)

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()
