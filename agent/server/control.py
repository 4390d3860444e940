"""The server's side of a control channel: what an agent says, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import asyncssh
import structlog

from agent.server.agent_record import AgentRecord
from agent.server.link_context import LinkContext
from agent.server.tunnel import Tunnel
from agent.tunnel.algorithms import CONTROL_PACKET_BYTES, CONTROL_WINDOW_BYTES, SUBSYSTEM
from agent.tunnel.control import ControlCallbacks, ControlStream
from agent.tunnel.messages import (
    PROTOCOL,
    Bye,
    CheckDone,
    CheckStep,
    Drain,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Measure,
    MeasureAck,
    Message,
    Welcome,
)
from agent.tunnel.text import printable

if TYPE_CHECKING:  # the connection makes its conversation
    from agent.server.link import AgentLink

log = structlog.get_logger("agent")

SHOWN_ID_CHARS: Final = 8


class ControlSession(ControlCallbacks, asyncssh.SSHServerSession[bytes]):
    """Grants the subsystem ``agent-control``; shell, exec and pty stay at asyncssh's refusal."""

    def __init__(self, stream: ControlStream, on_granted: Callable[[], None]) -> None:
        super().__init__(stream)
        self._on_granted = on_granted

    def subsystem_requested(self, subsystem: str) -> bool:
        """True for ``agent-control`` alone."""
        if subsystem != SUBSYSTEM:
            return False
        self._on_granted()
        return True


def control_channel(conn: asyncssh.SSHServerConnection) -> asyncssh.SSHServerChannel[bytes]:
    """A small-windowed channel that also refuses ``env``, of which asyncssh would keep any amount."""
    channel: asyncssh.SSHServerChannel[bytes] = conn.create_server_channel(
        encoding=None, window=CONTROL_WINDOW_BYTES, max_pktsize=CONTROL_PACKET_BYTES
    )
    channel._process_env_request = lambda packet: False  # type: ignore[method-assign]  # noqa: ARG005, SLF001 - asyncssh has no switch for it
    return channel


class _Greeting(NamedTuple):
    """What is kept of a hello: the whole of it costs 2.5 kB per tunnel."""

    instance_id: str
    tunnel_index: int
    kind: str

    @classmethod
    def of(cls, hello: Hello) -> Self:
        return cls(hello.instance_id, hello.tunnel_index, hello.kind)


class AgentConversation:
    """Hello, heartbeats, drain and bye of one connection."""

    def __init__(self, record: AgentRecord, context: LinkContext, link: AgentLink) -> None:
        self._record = record
        self._registry = context.registry
        self._config = context.config
        self._version = context.version
        self._link = link
        self._turned_away = context.turned_away
        self._hello: _Greeting | None = None
        self.stream = ControlStream(self._message, link.broken)

    def _message(self, message: Message) -> None:
        if isinstance(message, Hello):
            if self._hello is None:
                self._greet(message)
            else:
                self._greet_again(message, self._hello)
        elif self._hello is None:
            self._link.broken("The first control message must be hello.")
        elif isinstance(message, Heartbeat):
            if self._link.tunnel is not None:
                self._link.tunnel.last_heartbeat_at = time.time()
                if message.round_trip_s is not None:
                    self._link.tunnel.round_trip_s = message.round_trip_s
                    self._link.tunnel.acceleration.measured(message.round_trip_s)
            self.stream.send(HeartbeatAck(sequence=message.sequence))
        elif isinstance(message, Drain):
            self._drain(message)
        elif isinstance(message, CheckStep | CheckDone):
            take = self._link.tunnel.inbox.get(message.id) if self._link.tunnel is not None else None
            if take is not None:
                take(message)
        elif isinstance(message, Measure):
            if self._hello.kind == "probe":
                self.stream.send(MeasureAck(sequence=message.sequence))
        elif isinstance(message, Bye):
            reason = printable(message.reason) or message.goodbye.value
            log.debug("tunnel.bye", **self._link.names(), code=printable(message.code), reason=reason)
            self._link.leave(reason)

    def _greet(self, hello: Hello) -> None:
        """Accept or refuse; an instance that may serve becomes a tunnel, a probe never does."""
        if self._link.leaving:
            return
        serves = hello.kind == "agent"
        if serves and not self._link.forward_granted:
            self._link.broken("A hello came before the forward of store:80.")
            return
        self._hello = _Greeting.of(hello)
        if not self._record.enabled:
            self._turned_away[Goodbye.DISABLED] += 1
            log.info("agent.turned_away", **self._link.names(), reason="disabled")
            self._link.dismiss(Goodbye.DISABLED, "this agent is disabled")
            return
        holders = self._registry.holders(self._record, hello.instance_id) if serves else ()
        if holders:
            self._turn_away(hello, holders[0])
            return
        self.stream.send(
            Welcome(
                protocol=min(hello.protocol, PROTOCOL),
                version=self._version,
                heartbeat_interval_s=self._config.heartbeat_interval_s,
                next_pins=list(self._config.next_pins),
                unix_time_s=time.time(),
            )
        )
        if serves:
            tunnel = Tunnel.from_hello(self._record, hello, self._link, self._link.peer, time.time())
            tunnel.say = self.stream.send
            self._link.become(tunnel)
            self._registry.take_place(self._record, tunnel)
        else:
            log.info("agent.probe", **self._link.names(), host=printable(hello.host))
            self._link.set_deadline(self._config.probe_limit_s, "probe over")

    def _greet_again(self, hello: Hello, first: _Greeting) -> None:
        """The agent reloaded its settings: same identity, perhaps other stores."""
        if _Greeting.of(hello) != first:
            self._link.broken("A second hello has another identity.")
        elif self._link.tunnel is not None:
            self._link.tunnel.set_rules(hello.rules, hello.paused)
            self._registry.rules_changed(self._link.tunnel)

    def _turn_away(self, hello: Hello, holder: Tunnel) -> None:
        """Say who holds the place, and leave a trace: a stolen token must not join silently.

        Not the whole instance id: who knows it could join as a further tunnel of that instance.
        """
        self._turned_away[Goodbye.PLACE_TAKEN] += 1
        log.warning(
            "agent.place_taken",
            **self._link.names(),
            instance_id=hello.instance_id,
            host=printable(hello.host),
            holder_instance_id=holder.instance_id,
            holder_host=printable(holder.host),
            holder_peer=holder.peer,
        )
        self._config.audit(
            "agent.place_taken",
            {
                "agent_id": self._record.agent_id,
                "instance_id": hello.instance_id,
                "host": printable(hello.host),
                "peer": self._link.peer,
                "holder_instance_id": holder.instance_id,
                "holder_peer": holder.peer,
            },
        )
        shown = holder.instance_id[:SHOWN_ID_CHARS]
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(holder.connected_at))
        self._link.dismiss(
            Goodbye.PLACE_TAKEN,
            f"instance {shown}... on host {printable(holder.host, 64) or '(unnamed)'} holds the place since"
            f" {since} from {holder.peer}; this agent may have {self._record.max_instances} at once",
        )

    def _drain(self, message: Drain) -> None:
        """The agent takes nothing new; the answer tells it that nothing more is on its way."""
        if message.ack:
            return
        if message.soft:
            if self._link.tunnel is not None:
                self._registry.set_leaving(self._link.tunnel, printable(message.reason))
            return
        if self._link.tunnel is not None:
            self._registry.set_draining(self._link.tunnel, printable(message.reason))
            log.info("tunnel.draining", **self._link.names(), reason=printable(message.reason))
        self.stream.send(Drain(ack=True))
