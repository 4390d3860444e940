"""One tunnel as the server sees it: whose it is, what it may serve, and how to open a channel through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.pause import Pause
from agent.policy import METHODS, Rule
from agent.server.agent_record import AgentRecord
from agent.store_url import Store
from agent.streams import ByteSession
from agent.tunnel.acceleration import Acceleration
from agent.tunnel.messages import CheckDone, CheckStep, Goodbye, Hello, Message

PLAIN_INSTANCE = "plain-ssh"
TOO_MANY_CONNECTIONS = 12  # RFC 4250 4.2.2
NO_MORE_AUTH_METHODS = 14


class TunnelLink(Protocol):
    """The SSH connection under a tunnel."""

    async def open_channel(self, session: ByteSession) -> None:
        """Open a forwarded channel; see ``Tunnel.open_channel``."""

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None:
        """End the connection now."""

    def drain(self, reason: str, retry_after_s: float | None) -> None:
        """Tell the agent that nothing new will come."""


class ChannelPool(Protocol):
    """What the registry's ``pool_factory`` makes for a tunnel: the owner of its warm channels."""

    @property
    def idle_count(self) -> int:
        """Warm channels."""

    @property
    def busy_count(self) -> int:
        """Channels that carry an exchange."""

    def retire(self, *, is_draining: bool) -> None:
        """The tunnel is about to go: open nothing ahead of need; draining, give nothing to who waits, either."""

    def close(self) -> None:
        """The tunnel is gone, or was never chosen again: drop every channel."""


@dataclass(slots=True, eq=False, repr=False)
class Tunnel:
    """One authenticated, accepted connection of an agent; times are Unix seconds.

    ``nonce`` is ASCII hexadecimal (as the agent's answers carry it), empty for plain ssh. ``in_flight`` counts the
    exchanges that run through it or wait for a channel of it, and belongs to the pool of its channels.
    """

    agent_id: str
    agent_name: str
    instance_id: str
    index: int
    plain: bool
    nonce: bytes
    rules: tuple[Rule, ...]
    peer: str
    version: str
    host: str
    connected_at: float
    link: TunnelLink
    last_heartbeat_at: float = 0.0
    round_trip_s: float | None = None  # as the agent measured it
    leaving: bool = False  # serves on, but only what no other tunnel can take
    draining: bool = False
    in_flight: int = 0
    channels: Any = None
    features: frozenset[str] = frozenset()  # what it said that it can
    paused: Mapping[Store, Pause] = field(default_factory=dict)  # by the shop's administrator; for people to see
    say: Callable[[Message], bool] | None = None  # how it is told something; plain ssh has no such way
    inbox: dict[str, Callable[[CheckStep | CheckDone], None]] = field(default_factory=dict)  # by the check's id
    acceleration: Acceleration = field(default_factory=Acceleration)  # of its connection
    _stores: frozenset[Store] = frozenset()

    def __post_init__(self) -> None:
        self.set_rules(self.rules, self.paused)
        self.last_heartbeat_at = self.last_heartbeat_at or self.connected_at

    def __repr__(self) -> str:
        state = "draining" if self.draining else "leaving" if self.leaving else "ready"
        return f"<Tunnel {self.agent_id}/{self.instance_id}/{self.index} {state} in_flight={self.in_flight}>"

    @classmethod
    def from_hello(cls, record: AgentRecord, hello: Hello, link: TunnelLink, peer: str, now: float) -> Tunnel:
        """The tunnel that ``hello`` asks for."""
        return cls(
            agent_id=record.agent_id,
            agent_name=record.name,
            instance_id=hello.instance_id,
            index=hello.tunnel_index,
            plain=False,
            nonce=hello.nonce.encode("ascii"),
            rules=hello.rules,
            paused=hello.paused,
            peer=peer,
            version=hello.version,
            host=hello.host,
            connected_at=now,
            link=link,
            features=frozenset(hello.features),
        )

    @classmethod
    def from_plain(cls, record: AgentRecord, link: TunnelLink, peer: str, version: str, now: float) -> Tunnel:
        """The tunnel of a stock ssh client: it leads to one store, whatever is sent into it.

        Raises ``ValueError`` when the record is not made for plain ssh.
        """
        if record.plain_store is None:
            raise ValueError("the agent record has no plain_store")
        return cls(
            agent_id=record.agent_id,
            agent_name=record.name,
            instance_id=PLAIN_INSTANCE,
            index=0,
            plain=True,
            nonce=b"",
            rules=(Rule(record.plain_store, frozenset(METHODS), None),),
            peer=peer,
            version=version,
            host="",
            connected_at=now,
            link=link,
        )

    @property
    def identity(self) -> tuple[str, str, int]:
        """What a takeover compares: agent, instance, index."""
        return (self.agent_id, self.instance_id, self.index)

    @property
    def goes(self) -> bool:
        """True from the moment on in which the agent said that it leaves."""
        return self.leaving or self.draining

    @property
    def stores(self) -> frozenset[Store]:
        """What the agent's policy names."""
        return self._stores

    def set_rules(self, rules: tuple[Rule, ...], paused: Mapping[Store, Pause] | None = None) -> None:
        """What the agent's policy opens, and what is paused of it, from hello; the agent judges every request again."""
        self.rules = rules
        self.paused = paused or {}
        self._stores = frozenset(rule.store for rule in rules)

    def serves(self, store: Store) -> bool:
        """True when the agent's policy names this store."""
        return store in self._stores

    def rule_for(self, store: Store) -> Rule | None:
        """The agent's own rule for this store."""
        return next((rule for rule in self.rules if rule.store == store), None)

    async def open_channel(self, session: ByteSession) -> None:
        """Open a channel and hand it to ``session``, which is guarded: what it raises ends this channel only.

        Raises ``asyncssh.ChannelOpenError`` when the agent refuses or the tunnel is gone; no byte was sent then. When
        the caller is cancelled meanwhile the channel is closed as soon as it opens, and ``session`` is told nothing.
        """
        await self.link.open_channel(session)

    def drain(self, reason: str, retry_after_s: float | None = None) -> None:
        """Tell the agent that nothing new will come; the caller marks the registry."""
        self.link.drain(reason, retry_after_s)

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None:
        """End the connection now (RFC 4253 11.1); ``goodbye`` is what the control channel says first."""
        self.link.disconnect(code, reason, goodbye)
