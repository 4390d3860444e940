"""An SSH client that follows no rule of ours: for asking the endpoint for what it must refuse."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncssh

from agent.policy import Rule
from agent.tunnel.algorithms import SUBSYSTEM
from agent.tunnel.messages import Grant, Hello
from tests.kit.ssh_servers import AGENT_ID, LOOPBACK, SHOP


async def raw_connection(
    port: int, secret: str, agent_id: str = AGENT_ID, **options: Any
) -> asyncssh.SSHClientConnection:
    """Log in, checking nothing."""
    return await asyncssh.connect(
        LOOPBACK,
        port,
        username=agent_id,
        password=secret,
        known_hosts=None,
        config=None,
        client_keys=None,
        agent_path=None,
        **options,
    )


class RawControl(asyncssh.SSHClientSession[bytes]):
    """A control channel without any checks."""

    def __init__(self) -> None:
        self.channel: Any = None
        self.received = b""
        self.closed = asyncio.Event()
        self._more = asyncio.Event()

    def connection_made(self, chan: Any) -> None:
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.received += data
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self._more.set()

    def say(self, message: dict[str, object] | bytes) -> None:
        line = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        self.channel.write(line)

    async def answer(self, kind: str) -> dict[str, Any]:
        """The first message of this kind; fails when the channel closes before."""
        while True:
            for line in self.received.split(b"\n")[:-1]:
                message: dict[str, Any] = json.loads(line)
                if message["type"] == kind:
                    return message
            assert not self.closed.is_set(), self.received
            self._more.clear()
            await self._more.wait()


async def raw_control(conn: asyncssh.SSHClientConnection) -> RawControl:
    """Open the control channel and say nothing."""
    _, session = await conn.create_session(RawControl, subsystem=SUBSYSTEM, encoding=None, request_pty=False)
    assert isinstance(session, RawControl)
    return session


def raw_hello(instance: str = "raw-1", **fields: object) -> dict[str, object]:
    """A good hello, as a dictionary to spoil."""
    hello = Hello(version="1", instance_id=instance, host="raw", stores=[Grant.from_rule(Rule(SHOP))])
    return {**json.loads(hello.encode()), **fields}


class Sink(asyncssh.SSHTCPSession[bytes]):
    """A channel on the agent's side that takes everything and says nothing."""

    def __init__(self) -> None:
        self.size = 0

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.size += len(data)
