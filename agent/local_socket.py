"""The running agent's own socket, for this machine: one JSON line in, one out, closed; or one HTTP request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import structlog

from agent.errors import AgentError, StartError
from agent.local_http import LocalHttp, is_http
from agent.unix_socket import PrivateSocket

SOCKET_NAME: Final = "agent.sock"
LINE_MAX_BYTES: Final = 4096
CONVERSATION_MAX_S: Final = 2.0
COMMAND_MAX_S: Final = 20.0
CONNECTIONS_MAX: Final = 32

_BACKLOG: Final = 64

_log = structlog.get_logger("agent")

Command = Callable[[Mapping[str, Any]], dict[str, Any] | Awaitable[dict[str, Any]]]
"""Takes the request, gives the answer, both JSON objects; an ``AgentError`` becomes an error object.

One that has to wait gives an awaitable, and has ``COMMAND_MAX_S``; what it has begun goes on when its asker leaves.
"""


class LocalSocket:
    """Answers ``{"command": NAME}`` lines at ``path``, and HTTP with ``http``; all of a conversation is bounded.

    An answer that went wrong is ``{"error": {"name": ..., "message": ...}}``, ``name`` being stable.
    """

    def __init__(self, path: Path, conversation_max_s: float = CONVERSATION_MAX_S) -> None:
        self.conversation_max_s = conversation_max_s
        self.http: LocalHttp | None = None
        self._commands: dict[str, Command] = {}
        self._socket = PrivateSocket(
            path, what="The agent's socket", program="prestashop-agent", setting="runtime_dir", is_for_group=True
        )
        self._server: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()
        self._waiting: set[asyncio.Task[bytes]] = set()

    def __repr__(self) -> str:
        return f"<LocalSocket {self._socket.path} conversations={len(self._conversations)}>"

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._conversations)

    def on(self, name: str, command: Command) -> None:
        """Answer the command ``name`` by ``command``, which must not block."""
        self._commands[name] = command

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen. Where that is not possible the agent works all the same, and a warning says what to do."""
        try:
            listening = self._socket.listen(_BACKLOG)
        except StartError as error:
            _log.warning("socket.unavailable", detail=str(error), missing="prestashop-agent status, pause, resume")
            return
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(lambda: _Conversation(self), sock=listening)
        except BaseException:  # nobody else knows this socket yet
            listening.close()
            self._socket.remove()
            raise

    async def close(self) -> None:
        """Answer nobody any more and remove the socket."""
        self._socket.remove()
        if self._server is not None:
            self._server.close()
            self._server = None
        for conversation in tuple(self._conversations):
            conversation.abort()
        for task in tuple(self._waiting):
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    def answer(self, line: bytes) -> bytes | asyncio.Task[bytes]:
        """The answer to one line, with its line feed; a task of this object where the command has to wait."""
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("command"), str):
            return _error("bad_request", 'The request is not a line of JSON such as {"command": "status"}.')
        command = self._commands.get(request["command"])
        if command is None:
            known = ", ".join(sorted(self._commands))
            return _error("unknown_command", f"The running agent does not know this command; it knows {known}.")
        try:
            answer = command(request)
            if isinstance(answer, dict):
                return _line(answer)
        except Exception as error:  # noqa: BLE001 - a defect in one command must not end the agent
            return _failure(error)
        task = asyncio.ensure_future(_awaited(answer))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

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

    def __init__(self, owner: LocalSocket) -> None:
        self._owner = owner
        self._received = bytearray()
        self._answered = False
        self._deadline: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._owner.admit(self):
            self._say(_error("busy", "Too many commands are asking the running agent at once: try again."))
            return
        self._deadline = asyncio.get_running_loop().call_later(self._owner.conversation_max_s, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._received += data
        if self._owner.http is not None and is_http(self._received):
            page = self._owner.http.answer(self._received)
            if page is not None:
                self._say(page)
            return
        line, found, _ = self._received.partition(b"\n")
        if found and len(line) <= LINE_MAX_BYTES:
            answer = self._owner.answer(bytes(line))
            if isinstance(answer, bytes):
                self._say(answer)
            else:
                self._wait(answer)
        elif len(self._received) > LINE_MAX_BYTES:
            self._say(_error("too_long", f"A request is one line of at most {LINE_MAX_BYTES} bytes."))

    def eof_received(self) -> bool:
        if not self._answered:
            self._say(_error("bad_request", "The request ended without a line feed."))
        return True  # what was said is still to be sent

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        if self._deadline is not None:
            self._deadline.cancel()
        self._owner.forget(self)

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    def _wait(self, answer: asyncio.Task[bytes]) -> None:
        """The asker has done its part: from here on the command has its own time."""
        self._answered = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(
            COMMAND_MAX_S + self._owner.conversation_max_s, self.abort
        )
        answer.add_done_callback(lambda done: None if done.cancelled() else self._say(done.result()))

    def _say(self, line: bytes) -> None:
        self._answered = True
        if self._transport.is_closing():
            return  # it left while the command was waiting
        self._transport.write(line)
        self._transport.close()


async def _awaited(answer: Awaitable[dict[str, Any]]) -> bytes:
    try:
        async with asyncio.timeout(COMMAND_MAX_S):
            return _line(await answer)
    except TimeoutError:
        return _error("slow", f"The running agent did not end this command within {COMMAND_MAX_S:g} s: see its log.")
    except Exception as error:  # noqa: BLE001 - as above
        return _failure(error)


def _failure(error: Exception) -> bytes:
    if isinstance(error, AgentError):
        return _error("refused", str(error))
    _log.error("socket.command_failed", error=type(error).__name__, exc_info=error)
    return _error("failed", "The running agent failed at this command, by a defect: its log has more.")


def _line(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def _error(name: str, message: str) -> bytes:
    return _line({"error": {"name": name, "message": message}})
