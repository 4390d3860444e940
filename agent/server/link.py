"""One SSH connection of an agent, from the first byte to the last: login, forward, hello, tunnel, goodbye."""

from __future__ import annotations

import asyncio
import time

import asyncssh
import structlog

from agent.server.control import AgentConversation, ControlSession, control_channel
from agent.server.early_channel import EarlyChannel
from agent.server.entrance import Entrance
from agent.server.link_context import LinkContext
from agent.server.listener import VirtualListener
from agent.server.password_login import PasswordLogin
from agent.server.pulse import Pulse
from agent.server.tunnel import TOO_MANY_CONNECTIONS, Tunnel
from agent.streams import ByteSession
from agent.tunnel.acceleration import Acceleration, accelerate
from agent.tunnel.algorithms import LISTEN_HOST, LISTEN_PORT
from agent.tunnel.channel import ChannelSession, open_channel
from agent.tunnel.flow import LinkFlow, propagate_flow_control
from agent.tunnel.messages import Bye, Drain, Goodbye, Message
from agent.tunnel.text import printable

log = structlog.get_logger("agent")

PROTOCOL_ERROR = 2  # RFC 4250 4.2.2
BY_APPLICATION = 11
READ_POLL_S = 0.02


class AgentLink(PasswordLogin):
    """asyncssh's callbacks of one connection, and the link of its tunnel."""

    def __init__(self, context: LinkContext) -> None:
        super().__init__(context)
        self._config = context.config
        self.closed = asyncio.Event()
        self._logged_in = False
        # tunnel
        self._listener: VirtualListener | None = None
        self._early: EarlyChannel | None = None
        self._conversation: AgentConversation | None = None
        self.tunnel: Tunnel | None = None
        self._said_bye = False
        self._deadline: asyncio.TimerHandle | None = None
        self._pulse: Pulse | None = None
        self._acceleration = Acceleration()
        # set by connection_made
        self._flow: LinkFlow

    def __repr__(self) -> str:
        return f"<AgentLink {self.peer} agent={self._record.agent_id if self._record else '-'}>"

    # -- connection and login ------------------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """A TCP connection: it may try to log in when, or as soon as, there is a place for it."""
        self._conn = conn
        peer = conn.get_extra_info("peername") or ("local", 0)
        address = str(peer[0])
        self.peer = f"[{address}]:{peer[1]}" if ":" in address else f"{address}:{peer[1]}"
        self._entrance = Entrance(self._context.doorkeeper, self._config, conn, address, self.peer)
        if not self._entrance.enter():
            return
        self._context.links.add(self)
        self._flow = propagate_flow_control(conn, self._config.link)

    def auth_completed(self) -> None:
        """Logged in: give the place back, and wait for forward and hello, but not for long."""
        record = self._record
        if record is None:  # cannot be: begin_auth is True and passwords are the only method
            self._conn.abort()
            return
        self._logged_in = True
        self._acceleration = accelerate(self._conn, is_wanted=self._config.fast_path)
        self._entrance.logged_in()
        if self._context.registry.attach(record.agent_id, self, record.secret_id) > self._config.links_per_agent_max:
            log.warning("agent.dropped", **self.names(), reason="too many connections of this agent")
            self._conn.disconnect(TOO_MANY_CONNECTIONS, "too many connections of this agent")
            return
        self._pulse = Pulse(self._conn, self._flow, self._config.silence_limit_s)
        if record.plain_store is not None:
            # No heartbeats in plain ssh: its answers to these requests are the sign of life.
            self._conn.set_keepalive(self._config.heartbeat_interval_s, 2)
        self.set_deadline(self._config.hello_timeout_s, "no hello in time")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._entrance.gone()
        reason = printable(str(exc)) if exc is not None else "closed"
        if self.tunnel is not None:
            self._context.registry.remove(self.tunnel, reason)
            log.info("tunnel.closed", **self.names(), reason=reason)
        self._context.links.discard(self)
        if self._record is not None and self._logged_in:
            self._context.registry.detach(self._record.agent_id, self)
        if self._conversation is not None:
            self._conversation.stream.close()
        self.closed.set()

    # -- what an agent may ask for: one listener, one control channel --------------------------------------------

    def server_requested(self, listen_host: str, listen_port: int) -> asyncssh.SSHListener | bool:
        """Grant the virtual listener store:80, once. Nothing listens on a TCP port for it."""
        if self._listener is not None or (listen_host, listen_port) != (LISTEN_HOST, LISTEN_PORT):
            return False
        self._listener = VirtualListener(self._forward_cancelled)
        if self._record is not None and self._record.plain_store is not None:
            # asyncssh sends its answer in this loop turn: a channel opened before it would be refused
            asyncio.get_running_loop().call_soon(self._plain_ready)
        return self._listener

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], ControlSession] | bool:
        """Grant the control channel, once, to an agent that is not plain ssh."""
        record = self._record
        if self._conversation is not None or record is None or record.plain_store is not None:
            return False
        self._conversation = AgentConversation(record, self._context, self)
        return control_channel(self._conn), ControlSession(self._conversation.stream, self._hello_is_coming)

    def _hello_is_coming(self) -> None:
        """In a round trip. A channel takes as long to open: one that is asked for now is there with the hello."""
        if self._listener is not None and self._early is None and self.tunnel is None:
            self._early = EarlyChannel(self._open_channel)

    def _forward_cancelled(self) -> None:
        """The agent takes no new channels (so a stock ssh drains), or, a moment later, ``connection_lost`` comes."""
        asyncio.get_running_loop().call_soon(self._drained_by_cancel)

    def _drained_by_cancel(self) -> None:
        if self.tunnel is not None and not self.closed.is_set():
            self._context.registry.set_draining(self.tunnel, "forward cancelled")

    def _plain_ready(self) -> None:
        if self._record is None or self._listener is None or self.closed.is_set():
            return
        version = str(self._conn.get_extra_info("client_version", ""))
        self.become(Tunnel.from_plain(self._record, self, self.peer, version, time.time()))

    # -- what the conversation leads to --------------------------------------------------------------------------

    def become(self, tunnel: Tunnel) -> None:
        """READY: from here on the gateway may choose it."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.tunnel = tunnel
        tunnel.acceleration = self._acceleration
        log.info(
            "tunnel.ready",
            **self.names(),
            host=printable(tunnel.host),
            version=printable(tunnel.version),
            plain=tunnel.plain,
            stores=len(tunnel.rules),
            cipher=self._conn.get_extra_info("send_cipher"),
            **self._acceleration.log_fields(),
        )
        self._context.registry.add(tunnel)

    def broken(self, sentence: str) -> None:
        """The agent broke the protocol, or closed its control channel."""
        if self.closed.is_set() or self._said_bye:
            return
        log.warning("control.broken", **self.names(), reason=sentence)
        self.dismiss(Goodbye.PROTOCOL, sentence, PROTOCOL_ERROR)

    def leave(self, reason: str) -> None:
        """The agent said bye, and waits until slow clients have read what its channels brought."""
        self._said_bye = True  # it was said to us: there is nothing to answer
        if self.tunnel is not None:
            self._context.registry.remove(self.tunnel, reason)
        self._disconnect_when_read(time.monotonic() + self._config.leave_max_s)

    def _disconnect_when_read(self, limit: float) -> None:
        if self.tunnel is not None and self.tunnel.in_flight and time.monotonic() < limit:
            asyncio.get_running_loop().call_later(READ_POLL_S, self._disconnect_when_read, limit)
        elif not self.closed.is_set():
            self._conn.disconnect(BY_APPLICATION, "bye")

    @property
    def forward_granted(self) -> bool:
        """True once the agent asked for store:80."""
        return self._listener is not None

    @property
    def leaving(self) -> bool:
        """True once this side said bye."""
        return self._said_bye

    def names(self) -> dict[str, str | int]:
        """Fields of every log event about this connection."""
        index = self.tunnel.index if self.tunnel is not None else -1
        return {"agent_id": self._record.agent_id if self._record else "", "index": index, "peer": self.peer}

    # -- TunnelLink ----------------------------------------------------------------------------------------------

    async def open_channel(self, session: ByteSession) -> None:
        """Open a forwarded channel for ``session``; see ``Tunnel.open_channel``."""
        early, self._early = self._early, None
        if early is None or not await early.hand_to(session):
            await self._open_channel(session)

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None:
        """Say bye and end the connection in this loop turn; what is in flight is lost, perhaps the reason too."""
        if self.closed.is_set():
            return
        if not self._said_bye:
            self._said_bye = True
            self._say(Bye(code=goodbye.value, reason=reason))
        self._conn.disconnect(code, reason)

    def drain(self, reason: str, retry_after_s: float | None) -> None:
        """Tell the agent that nothing new will come through this tunnel."""
        self._say(Drain(reason=reason, retry_after_s=retry_after_s))

    def dismiss(
        self, goodbye: Goodbye, reason: str, code: int = BY_APPLICATION, retry_after_s: float | None = None
    ) -> None:
        """Say bye, let the agent leave, and end the connection when it has not left in time.

        asyncssh's ``disconnect`` does not flush, so a reason that matters must not be the last thing said.
        """
        if self._said_bye or self.closed.is_set():
            return
        self._said_bye = True
        if not self._logged_in:
            self._conn.abort()
            return
        if self.tunnel is not None:
            self._context.registry.remove(self.tunnel, reason)
        self._say(Bye(code=goodbye.value, reason=reason[:1000], retry_after_s=retry_after_s))
        grace_s = self._config.bye_grace_s if self._conversation is not None else 0.0
        asyncio.get_running_loop().call_later(grace_s, self._conn.disconnect, code, reason)

    def check_life(self, awake_s: float) -> None:
        """Called by the endpoint's sweep with seconds that this process was awake: drop an agent that is gone."""
        if self._pulse is None or self.closed.is_set():
            return  # before the login asyncssh's time-out is at work
        reason = self._pulse.verdict(awake_s)
        if reason is None:
            self._acceleration.rest()  # a server has many tunnels at rest
            return
        log.warning("tunnel.silent", **self.names(), reason=reason)
        if self.tunnel is not None:
            self._context.registry.remove(self.tunnel, reason)
        if self._flow.is_cut():
            self._flow.reset()
        else:
            self.disconnect(BY_APPLICATION, reason, Goodbye.SILENT)

    def set_deadline(self, timeout_s: float, reason: str) -> None:
        """End the connection after ``timeout_s`` unless it has become a tunnel."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(timeout_s, self._expired, reason)

    async def _open_channel(self, session: ByteSession) -> ChannelSession:
        return await open_channel(self._conn, self._flow, session, self._config.channel_window_bytes)

    def _say(self, message: Message) -> None:
        if self._conversation is not None:
            self._conversation.stream.send(message)

    def _expired(self, reason: str) -> None:
        if self.tunnel is None:
            log.warning("agent.dropped", **self.names(), reason=reason)
            self.dismiss(Goodbye.PROTOCOL, reason)
