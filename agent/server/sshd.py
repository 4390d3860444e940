"""The SSH endpoint that agents connect to: it grants one virtual listener and one control channel, nothing else."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import asyncssh
import structlog

from agent import __version__
from agent.errors import StartError
from agent.server.addresses import why_not_listening
from agent.server.agent_record import AgentRecord
from agent.server.doorkeeper import Doorkeeper, DoorReport
from agent.server.link import AgentLink
from agent.server.link_context import LinkContext
from agent.server.registry import Registry
from agent.server.ssh_config import SshConfig
from agent.tunnel.algorithms import ENCRYPTION_ALGS, KEX_ALGS, REKEY_BYTES
from agent.tunnel.awake_clock import AwakeClock
from agent.tunnel.messages import Goodbye

__all__ = ["AgentRecord", "SshConfig", "SshEndpoint"]

log = structlog.get_logger("agent")

DOOR_NEWS_S = 10.0


class SshEndpoint:
    """Listens for agents.

    ``host_key`` is an ed25519 private key or its file. ``authenticate(agent_id, secret)`` is called in the event loop
    and must not wait: it looks up a hash in memory.
    """

    def __init__(
        self,
        host_key: asyncssh.SSHKey | Path,
        authenticate: Callable[[str, str], AgentRecord | None],
        registry: Registry,
        config: SshConfig | None = None,
        version: str = __version__,
    ) -> None:
        self._host_key = asyncssh.read_private_key(host_key) if isinstance(host_key, Path) else host_key
        self._config = config or SshConfig()
        doorkeeper = Doorkeeper(self._config.door, time.monotonic)
        self._context = LinkContext(authenticate, registry, self._config, doorkeeper, version)
        self._registry = registry
        self._acceptors: list[asyncssh.SSHAcceptor] = []
        self._sweep: asyncio.Task[None] | None = None
        self._told_away = 0
        self._told_at = -DOOR_NEWS_S

    def __repr__(self) -> str:
        return f"<SshEndpoint links={len(self._context.links)} {self._context.doorkeeper!r}>"

    @property
    def port(self) -> int:
        """The TCP port; 0 before ``start``."""
        return self._acceptors[0].get_port() if self._acceptors else 0

    @property
    def connection_count(self) -> int:
        """Connections of agents, logged in or not."""
        return len(self._context.links)

    @property
    def is_serving(self) -> bool:
        """True while it accepts connections and looks after those that are there."""
        is_watched = self._sweep is not None and not self._sweep.done()
        return is_watched and all(acceptor.is_serving() for acceptor in self._acceptors)

    @property
    def door(self) -> DoorReport:
        """Who logs in, waits for that, or was turned away."""
        return self._context.doorkeeper.report()

    @property
    def logins(self) -> dict[str, int]:
        """Logins since the start by what came of them; who logged in may have been turned away afterwards."""
        door = self.door
        after = {goodbye.value: count for goodbye, count in self._context.turned_away.items()}
        return {"ok": door.logged_in, "failed": door.failed, **door.turned_away, **after}

    @property
    def fingerprint(self) -> str:
        """What access tokens pin: ``SHA256:...``."""
        return self._host_key.get_fingerprint("sha256")

    async def start(self, host: str, port: int, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen on ``host:port``, or on ``sockets``, which are listening already (the service manager's).

        Raises ``StartError`` when the address is in use or may not be bound.
        """
        for sock in sockets or (None,):
            self._acceptors.append(await self._listen(host, port, sock))
        self._sweep = asyncio.create_task(self._watch(), name="ssh-endpoint-sweep")
        log.info("ssh.listening", host=host, port=self.port, host_key=self.fingerprint)

    async def _listen(self, host: str, port: int, sock: socket.socket | None) -> asyncssh.SSHAcceptor:
        try:
            return await asyncssh.listen(
                host,
                port,
                sock=sock,
                backlog=self._config.backlog,
                server_factory=lambda: AgentLink(self._context),
                server_host_keys=[self._host_key],
                server_version=f"integration-server_{self._context.version}",
                login_timeout=self._config.login_timeout_s,
                encryption_algs=list(ENCRYPTION_ALGS),
                kex_algs=list(KEX_ALGS),
                compression_algs=None,
                rekey_bytes=REKEY_BYTES,
                keepalive_interval=0,
                utf8_decode_errors="replace",
                # Everything that would bypass session_requested, or is granted by default:
                agent_forwarding=False,
                allow_pty=False,
                line_editor=False,
                x11_forwarding=False,
                sftp_factory=None,
                process_factory=None,
                session_factory=None,
                allow_scp=False,
                gss_host=None,
                host_based_auth=False,
                public_key_auth=False,
                kbdint_auth=False,
            )
        except OSError as error:
            raise StartError(
                why_not_listening("The SSH endpoint", host, port, error, option="--ssh-listen", setting="ssh.listen")
            ) from None

    def stop_accepting(self) -> None:
        """Refuse new connections; tunnels live on."""
        for acceptor in self._acceptors:
            acceptor.close()

    async def close(self, retry_after_s: float | None = None) -> None:
        """Say bye to every agent, and end all connections; about 2 s at most.

        ``retry_after_s`` is when the first may come back; each is told a time of its own, so that they come at a
        rate that a server can log in. Wait for running exchanges before: ``Registry.drain_all`` and the tunnels'
        ``in_flight``.
        """
        self.stop_accepting()
        if self._sweep is not None:
            self._sweep.cancel()
            await asyncio.gather(self._sweep, return_exceptions=True)
            self._sweep = None
        links = return_order(self._context.links)
        for place, link in enumerate(links):
            hint_s = None if retry_after_s is None else retry_after_s + place / self._config.returns_per_s
            link.dismiss(Goodbye.SHUTDOWN, "the server is shutting down", retry_after_s=hint_s)
        if links:
            waiting = [asyncio.ensure_future(link.closed.wait()) for link in links]
            _, late = await asyncio.wait(waiting, timeout=self._config.bye_grace_s + 1.0)
            for task in late:
                task.cancel()
        log.info("ssh.closed", links=len(links))

    async def _watch(self) -> None:
        """One sweep for all links: a timer per tunnel would be the main cost of idle ones."""
        pause_s = min(max(self._config.silence_limit_s / 25, 0.02), 1.0)
        clock = AwakeClock(time.monotonic, pause_s)
        while True:
            await asyncio.sleep(pause_s)
            awake_s = clock.look()
            for link in tuple(self._context.links):
                link.check_life(awake_s)
            self._tell_of_the_door()

    def _tell_of_the_door(self) -> None:
        """Agents that were turned away are one line now and then: each is a line of its own at DEBUG."""
        away = sum(self.door.turned_away.values())
        if away != self._told_away and time.monotonic() - self._told_at >= DOOR_NEWS_S:
            self._told_away, self._told_at = away, time.monotonic()
            log.warning("ssh.turned_away", **self.door.turned_away, detail="logins turned away since the start")


def return_order(links: Iterable[AgentLink]) -> list[AgentLink]:
    """Who is told to come back first: one tunnel of every agent before the second one of any, else by chance."""
    order = list(links)
    random.shuffle(order)
    order.sort(key=lambda link: link.tunnel.index if link.tunnel is not None else 0)
    return order
