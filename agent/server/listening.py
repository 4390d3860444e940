"""Opens the listeners of the server: on the addresses of the settings, or on the sockets that were passed on."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass

from agent.errors import StartError
from agent.server.addresses import split_address
from agent.server.assembly import WebListener
from agent.server.gateway import Gateway
from agent.server.inherited_sockets import InheritedSockets
from agent.server.panel_server import PanelServer
from agent.server.settings import ServerSettings
from agent.server.sshd import SshEndpoint


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a listener is; ``reason`` says why there and not where the settings say ("" when it is there)."""

    host: str
    port: int
    reason: str = ""

    @property
    def shown(self) -> str:
        """``host:port``, brackets around IPv6."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, tls: bool) -> str:
        """An address to connect to from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"{'https' if tls else 'http'}://{Listening(host, self.port).shown}"


async def listen_for_agents(endpoint: SshEndpoint, settings: ServerSettings, inherited: InheritedSockets) -> Listening:
    """Start the SSH endpoint. Raises ``StartError``."""
    host, port = split_address(settings.ssh.listen)
    sockets = inherited.named("ssh")
    if sockets:
        host, port = sockets[0].getsockname()[:2]
    await endpoint.start(host, port, sockets)
    return Listening(host, endpoint.port)


async def listen_for_integrations(
    gateway: Gateway, listener: WebListener, tls: ssl.SSLContext | None, inherited: InheritedSockets
) -> Listening:
    """Start the gateway. Raises ``StartError``, also for a passed socket on which keys would travel readable."""
    sockets = _passed(listener, inherited)
    if not sockets:
        host, port, reason = listener.address()
        await gateway.start(host, port, tls)
        return Listening(host, gateway.port, reason)
    for sock in sockets:
        await gateway.start("", 0, tls, sock)
    return Listening(sockets[0].getsockname()[0], gateway.port)


async def listen_for_people(panel: PanelServer, listener: WebListener, inherited: InheritedSockets) -> Listening:
    """Start the panel. Raises ``StartError``, also for a passed socket on which passwords would travel readable."""
    sockets = _passed(listener, inherited)
    if not sockets:
        host, port, reason = listener.address()
        return Listening(host, await panel.start(host, port), reason)
    port = await panel.start("", 0, sockets)
    return Listening(sockets[0].getsockname()[0], port)


def _passed(listener: WebListener, inherited: InheritedSockets) -> tuple[socket.socket, ...]:
    """The sockets that were passed on for it, which must not be open to everybody without protection."""
    sockets = inherited.named(listener.name)
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        if not (listener.is_protected or ipaddress.ip_address(host.partition("%")[0]).is_loopback):
            raise StartError(
                f"The socket passed for the {listener.name} listens on {Listening(host, port).shown}, where "
                f"{listener.secrets} would travel readable: set {listener.name}.tls_certificate_file and "
                f"{listener.name}.tls_key_file, or trusted_proxies, or write ListenStream=127.0.0.1:{port} in its "
                "socket unit."
            )
    return sockets
