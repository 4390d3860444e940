"""Opens the listeners of the server: on the addresses of the settings, or on the sockets that were passed on."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass

from agent.errors import StartError
from agent.server.addresses import split_address
from agent.server.assembly import gateway_address
from agent.server.gateway import Gateway
from agent.server.inherited_sockets import InheritedSockets
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


async def listen_for_agents(endpoint: SshEndpoint, settings: ServerSettings, inherited: InheritedSockets) -> Listening:
    """Start the SSH endpoint. Raises ``StartError``."""
    host, port = split_address(settings.ssh.listen)
    sockets = inherited.named("ssh")
    if sockets:
        host, port = sockets[0].getsockname()[:2]
    await endpoint.start(host, port, sockets)
    return Listening(host, endpoint.port)


async def listen_for_integrations(
    gateway: Gateway, settings: ServerSettings, tls: ssl.SSLContext | None, inherited: InheritedSockets
) -> Listening:
    """Start the gateway. Raises ``StartError``, also for a passed socket on which keys would travel readable."""
    sockets = inherited.named("gateway")
    if not sockets:
        host, port, reason = gateway_address(settings)
        await gateway.start(host, port, tls)
        return Listening(host, gateway.port, reason)
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        if not (settings.gateway_is_protected or ipaddress.ip_address(host.partition("%")[0]).is_loopback):
            raise StartError(
                f"The socket passed for the gateway listens on {Listening(host, port).shown}, where client keys would "
                "travel readable: set gateway.tls_certificate_file and gateway.tls_key_file, or trusted_proxies, or "
                f"write ListenStream=127.0.0.1:{port} in its socket unit."
            )
    for sock in sockets:
        await gateway.start("", 0, tls, sock)
    return Listening(sockets[0].getsockname()[0], gateway.port)
