"""One tunnel of the agent, from the connected socket to its end: login, forward, hello, heartbeats, goodbye."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Never

import asyncssh
import structlog
from asyncssh.misc import MaybeAwait

from agent.streams import ByteSession
from agent.tunnel.acceleration import Acceleration
from agent.tunnel.algorithms import (
    CHANNEL_PACKET_BYTES,
    CONTROL_PACKET_BYTES,
    CONTROL_WINDOW_BYTES,
    LISTEN_HOST,
    LISTEN_PORT,
    SUBSYSTEM,
)
from agent.tunnel.channel import ChannelSession
from agent.tunnel.config import TunnelConfig
from agent.tunnel.control import AgentControl, ControlStream
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.goodbyes import ending_of
from agent.tunnel.liveness import Liveness
from agent.tunnel.messages import (
    Bye,
    Check,
    ControlError,
    Drain,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Message,
    Welcome,
)
from agent.tunnel.ssh import LoginError, PinnedClient, login
from agent.tunnel.text import printable
from agent.tunnel.token import AccessToken

log = structlog.get_logger("agent")

BY_APPLICATION = 11  # RFC 4250 4.2.2
REPLACED = 12


class AgentLink:
    """``open`` makes it, ``ended`` tells its end, and every way out leads through ``_end``."""

    def __init__(
        self,
        server: str,
        nonce: bytes,
        session_factory: Callable[[bytes], ByteSession],
        config: TunnelConfig,
        on_drain: Callable[[], None],
    ) -> None:
        self.server = server
        self.nonce = nonce
        self._session_factory = session_factory
        self._config = config
        self._on_drain = on_drain
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self.welcome: asyncio.Future[Welcome] = loop.create_future()
        self._drain_answered = asyncio.Event()
        self._goodbye: Ending | None = None
        self._hint_s: float | None = None
        self._control = ControlStream(self._message, self._broken)
        self._conn: asyncssh.SSHClientConnection | None = None
        self._client: PinnedClient | None = None
        self._gone = False
        self._watch: asyncio.Task[None] | None = None
        self.liveness: Liveness | None = None

    def __repr__(self) -> str:
        return f"<AgentLink {self.server} {'ended' if self.ended.done() else 'open'} channels={self.open_channels}>"

    @property
    def open_channels(self) -> int:
        """Forwarded channels that are open."""
        return self._client.flow.open_channels if self._client is not None else 0

    @property
    def acceleration(self) -> Acceleration:
        """Its fast path."""
        return self._client.acceleration if self._client is not None else Acceleration()

    async def open(self, sock: socket.socket, token: AccessToken, hello: Hello) -> Welcome:
        """Log in, get the forward, say hello, be welcome; the time limit is ``login_timeout_s`` in all.

        Raises ``LoginError``; ``ended`` is set then, too.
        """
        try:
            async with asyncio.timeout(self._config.login_timeout_s):
                self._conn, self._client = await login(sock, self.server, token, self._config, self._lost)
                if self._gone:  # between asyncssh's answer and this line
                    self._lost(None)
                await self._ask(self._conn)
                self._control.send(hello)
                waiting: set[asyncio.Future[Any]] = {self.ended, self.welcome}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except LoginError as error:
            self._end(error.ending)
        except TimeoutError:
            self._end(Ending(EndReason.HANDSHAKE, f"The server at {self.server} did not finish the login in time."))
        except ControlError as error:  # our own hello is too long
            self._end(Ending(EndReason.PROTOCOL, str(error)))
        except (asyncssh.Error, asyncssh.ChannelListenError, OSError) as error:
            detail = printable(str(error))
            self._end(Ending(EndReason.NOT_GRANTED, f"The server at {self.server} refuses the tunnel ({detail})."))
        finally:
            if not self.welcome.done():
                self._end(Ending(EndReason.OWN_WISH))
        if self.ended.done() or self._conn is None or self._client is None:
            raise LoginError(self.ended.result())
        welcome = self.welcome.result()
        interval_s = min(welcome.interval_s, self._config.heartbeat_interval_s)
        # Not the loop's time: uvloop counts whole milliseconds, which is more than a round trip in one building.
        self.liveness = Liveness(
            self._conn, self._config.silence_limit_s, interval_s, time.monotonic, self._client.flow.is_delivering
        )
        self._watch = asyncio.create_task(self._keep_alive(self.liveness), name=f"tunnel-heartbeat-{self.server}")
        return welcome

    @property
    def is_watched(self) -> bool:
        """True while silence would be noticed, and when it has ended."""
        return self.ended.done() or (self._watch is not None and not self._watch.done())

    async def drain(self, reason: str) -> None:
        """Ask the server to choose this tunnel no more, and wait (for ``bye_grace_s`` at most) until it says so."""
        if self._control.send(Drain(reason=reason)):
            await self._first(self._drain_answered.wait(), self._config.bye_grace_s)

    async def leave(self, goodbye: Goodbye, reason: str, wait_s: float = 0.0) -> bool:
        """Say bye, give the server a moment to close, and close; False when it was still busy with a channel.

        While channels are open that takes up to ``wait_s``: an answer that has left this end is not read yet where the
        client is slow, and the server closes when it is. One that did not answer the drain is not waited for.
        """
        if self._control.send(Bye(code=goodbye.value, reason=reason)):
            is_patient = self.open_channels and self._drain_answered.is_set()
            grace_s = self._config.bye_grace_s
            await self._first(asyncio.shield(self.ended), max(wait_s, grace_s) if is_patient else grace_s)
        was_read = self.ended.done() or not self.open_channels
        await self.close(Ending(EndReason.OWN_WISH, reason))
        return was_read

    async def close(self, ending: Ending | None = None) -> None:
        """End the connection now and wait until nothing of it is left."""
        self._end(ending or Ending(EndReason.OWN_WISH))
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._conn is not None:
            await self._conn.wait_closed()

    def say(self, message: Message) -> None:
        """Send a control message, such as hello after a reload. Raises ``ControlError`` when it is too long."""
        self._control.send(message)

    def challenge(self, within_s: float) -> None:
        """Ask the server for a sign of life now; without one ``within_s`` the link ends as silent."""
        if self.liveness is not None:
            self.liveness.challenge(within_s)

    async def _ask(self, conn: asyncssh.SSHClientConnection) -> None:
        """Forward and control channel, at once to save a round trip.

        Hello comes after both: the server may open channels from then on, and asyncssh refuses those that arrive
        before ``create_server`` has returned.
        """
        sizes = {"window": self._config.channel_window_bytes, "max_pktsize": CHANNEL_PACKET_BYTES}
        forward = conn.create_server(self._accept, LISTEN_HOST, LISTEN_PORT, **sizes)
        control = conn.create_session(
            lambda: AgentControl(self._control),
            subsystem=SUBSYSTEM,
            encoding=None,
            request_pty=False,
            window=CONTROL_WINDOW_BYTES,
            max_pktsize=CONTROL_PACKET_BYTES,
        )
        for result in await asyncio.gather(forward, control, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    # -- channels ------------------------------------------------------------------------------------------------

    def _accept(self, orig_host: str, orig_port: int) -> MaybeAwait[asyncssh.SSHTCPSession[bytes]]:  # noqa: ARG002 - asyncssh's signature
        """The server opens a channel. asyncssh forgets a refused channel only when the refusal is awaited."""
        conn, client = self._conn, self._client
        if conn is None or client is None:
            return _refuse("not_ready")
        if len(conn._channels) > self._config.channels_max + 1:  # noqa: SLF001 - it counts those being opened, too
            return _refuse("too_many_channels")
        try:
            session = self._session_factory(self.nonce)
        except Exception as error:  # noqa: BLE001 - an error of one channel must not end the tunnel
            fields = {"error": type(error).__name__, "where": "session_factory"}
            log.error("channel.failed", **fields)  # noqa: TRY400 - no traceback: it may quote a peer's bytes
            return _refuse("failed")
        return ChannelSession(session, client.flow)

    # -- control channel -----------------------------------------------------------------------------------------

    def _message(self, message: Message) -> None:
        if isinstance(message, Welcome):
            if not self.welcome.done():
                self.welcome.set_result(message)
        elif isinstance(message, HeartbeatAck):
            if self.liveness is not None:
                is_first = self.liveness.round_trip_s is None
                self.liveness.answered(message.sequence)
                self.acceleration.measured(self.liveness.round_trip_s or 0.0)
                if is_first and self.liveness.round_trip_s is not None:  # the server shows it from now on
                    self._control.send(Heartbeat.with_round_trip(0, self.liveness.round_trip_s))
        elif isinstance(message, Drain):
            if message.ack:
                self._drain_answered.set()
            else:
                self._hint_s = message.hint_s
                self._goodbye = Ending(EndReason.SERVER_LEFT, printable(message.reason), message.hint_s)
                self._control.send(Drain(ack=True))
                self._on_drain()
        elif isinstance(message, Check):
            if self._config.on_check is not None:
                self._config.on_check(message, self._control.send)
        elif isinstance(message, Bye):
            self._end(ending_of(message, self.server, self._hint_s))

    def _broken(self, sentence: str) -> None:
        """The server broke the protocol, or its control channel is gone."""
        self._end(Ending(EndReason.PROTOCOL, f"The server at {self.server}: {sentence}"))

    # -- life and end --------------------------------------------------------------------------------------------

    async def _keep_alive(self, liveness: Liveness) -> None:
        """Send a heartbeat when it is due; give up a server that says nothing."""
        while True:
            sequence = liveness.next_heartbeat()
            if sequence is not None:
                self._control.send(Heartbeat.with_round_trip(sequence, liveness.round_trip_s))
            await asyncio.sleep(liveness.pause_s)
            if liveness.is_silent():
                self._end(Ending(EndReason.SILENT, f"Nothing came from {self.server} for {liveness.limit_s:g} s."))
                return
            if self._client is not None and self._client.flow.is_cut():
                limit_s = self._config.link.unheard_max_s
                detail = f"The network to {self.server} is cut: no acknowledgement came for {limit_s:g} s."
                self._end(Ending(EndReason.SILENT, detail))
                return

    def _lost(self, error: Exception | None) -> None:
        """asyncssh: the connection is gone. Code 12 is the registry's answer to a newer tunnel of this identity."""
        self._gone = True
        if self._conn is None:
            return  # `login` explains it
        if self._goodbye is not None:
            ending = self._goodbye
        elif self.welcome.done() and getattr(error, "code", None) == REPLACED:
            ending = ending_of(Bye(code=Goodbye.REPLACED.value), self.server, None)
        else:
            cause = printable(str(error)) if error is not None else "closed by the other side"
            ending = Ending(EndReason.LOST, f"The connection to {self.server} broke: {cause}.")
        self._end(ending)

    def _end(self, ending: Ending) -> None:
        """The only way out: record the first reason, stop the heartbeat, close the connection."""
        if self.ended.done():
            return
        self.ended.set_result(ending)
        self._control.close()
        self._drain_answered.set()
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        if self._conn is not None and not self._conn.is_closed():
            if ending.reason is EndReason.SILENT and self._client is not None:
                self._client.flow.reset()
            else:
                self._conn.disconnect(BY_APPLICATION, ending.reason.value)

    async def _first(self, awaitable: Awaitable[object], timeout_s: float) -> None:
        """Wait for ``awaitable``, but no longer than ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await awaitable
        except TimeoutError:
            pass


async def _refuse(reason: str) -> Never:
    raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, reason)
