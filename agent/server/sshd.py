"""The SSH endpoint that agents connect to: it grants one virtual listener and one control channel, nothing else."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path

import asyncssh
import structlog

from agent import __version__
from agent.errors import StartError
from agent.server.addresses import why_not_listening
from agent.server.agent_record import AgentRecord
from agent.server.doorkeeper import Doorkeeper
from agent.server.link import AgentLink
from agent.server.link_context import LinkContext
from agent.server.registry import Registry
from agent.server.ssh_config import SshConfig
from agent.tunnel.algorithms import ENCRYPTION_ALGS, KEX_ALGS, REKEY_BYTES
from agent.tunnel.messages import Goodbye

__all__ = ["AgentRecord", "SshConfig", "SshEndpoint"]

log = structlog.get_logger("agent")


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
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._sweep: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<SshEndpoint links={len(self._context.links)} {self._context.doorkeeper!r}>"

    @property
    def port(self) -> int:
        """The TCP port; 0 before ``start``."""
        return self._acceptor.get_port() if self._acceptor is not None else 0

    @property
    def fingerprint(self) -> str:
        """What access tokens pin: ``SHA256:...``."""
        return self._host_key.get_fingerprint("sha256")

    async def start(self, host: str, port: int, sock: socket.socket | None = None) -> None:
        """Listen on ``host:port``, or on a socket that is listening already (systemd's).

        Raises ``StartError`` when the address is in use or may not be bound.
        """
        try:
            self._acceptor = await asyncssh.listen(
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
        self._sweep = asyncio.create_task(self._watch(), name="ssh-endpoint-sweep")
        log.info("ssh.listening", host=host, port=self.port, host_key=self.fingerprint)

    def stop_accepting(self) -> None:
        """Refuse new connections; tunnels live on."""
        if self._acceptor is not None:
            self._acceptor.close()

    async def close(self, retry_after_s: float | None = None) -> None:
        """Say bye to every agent (``retry_after_s``: when to come back), and end all connections; about 2 s at most.

        Wait for running exchanges before: ``Registry.drain_all`` and the tunnels' ``in_flight``.
        """
        self.stop_accepting()
        if self._sweep is not None:
            self._sweep.cancel()
            await asyncio.gather(self._sweep, return_exceptions=True)
            self._sweep = None
        links = tuple(self._context.links)
        for link in links:
            link.dismiss(Goodbye.SHUTDOWN, "the server is shutting down", retry_after_s=retry_after_s)
        if links:
            waiting = [asyncio.ensure_future(link.closed.wait()) for link in links]
            _, late = await asyncio.wait(waiting, timeout=self._config.bye_grace_s + 1.0)
            for task in late:
                task.cancel()
        log.info("ssh.closed", links=len(links))

    async def _watch(self) -> None:
        """One sweep for all links: a timer per tunnel would be the main cost of idle ones."""
        pause_s = min(max(self._config.silence_limit_s / 25, 0.02), 1.0)
        while True:
            await asyncio.sleep(pause_s)
            now = time.monotonic()
            for link in tuple(self._context.links):
                link.check_life(now)
