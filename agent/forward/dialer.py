"""Opens connections to one store: address, TLS and the name that must stand in the certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agent.errors import ExchangeError, StoreTlsFailed, StoreUnreachable
from agent.forward.lookup import resolve

P = TypeVar("P", bound=asyncio.Protocol)


class Dialer(Protocol):
    """The way to one store."""

    async def dial(self, protocol: Callable[[], P]) -> P:
        """Open one connection. Raises ``StoreUnreachable`` or ``StoreTlsFailed``."""


@dataclass(frozen=True, slots=True)
class TcpDialer:
    """Dials ``host:port``, which may differ from the store's address; ``server_name`` is checked in the certificate."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    connect_timeout_s: float = 5.0
    tls_timeout_s: float = 5.0

    async def dial(self, protocol: Callable[[], P]) -> P:
        """Open one connection, trying the addresses of the name one after the other."""
        try:
            async with asyncio.timeout(self.connect_timeout_s + (self.tls_timeout_s if self.tls else 0.0)):
                return await self._first(await resolve(self.host, self.port), protocol)
        except (OSError, TimeoutError, ssl.SSLError, ValueError) as error:
            raise dial_failure(error, f"{self.host}:{self.port}") from None

    async def _first(self, addresses: tuple[str, ...], protocol: Callable[[], P]) -> P:
        """The first of these addresses that answers; what comes after TCP is that address's last word."""
        loop = asyncio.get_running_loop()
        failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for address in addresses:
            try:
                _, made = await loop.create_connection(
                    protocol,
                    address,
                    self.port,
                    ssl=self.tls,
                    server_hostname=(self.server_name or self.host) if self.tls is not None else None,
                    ssl_handshake_timeout=self.tls_timeout_s if self.tls is not None else None,
                )
            except (ssl.SSLError, ConnectionAbortedError, ConnectionResetError):
                raise
            except OSError as error:
                failure = error
            else:
                return made
        raise failure


def dial_failure(error: Exception, where: str) -> ExchangeError:
    """The exchange error for a connection that could not be made; says what failed in our own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreTlsFailed(f"The certificate of {where} was refused: {error.verify_message}.")
    if isinstance(error, ssl.SSLError | ConnectionAbortedError | ConnectionResetError):
        # A plain connect is refused or unanswered, never reset: a reset comes in the middle of the handshake.
        closed = "the other side closed the connection" if isinstance(error, ConnectionResetError) else "it timed out"
        reason = getattr(error, "reason", "protocol error") if isinstance(error, ssl.SSLError) else closed
        return StoreTlsFailed(f"The TLS handshake with {where} failed: {reason}.", proxy_error="tls_protocol_error")
    if isinstance(error, TimeoutError):
        return StoreUnreachable(f"{where} did not accept a connection in time.", proxy_error="connection_timeout")
    if isinstance(error, ValueError):  # UnicodeError of the idna codec: an empty label, one that is too long
        return StoreUnreachable(f"{where} holds what is no host name.", proxy_error="dns_error")
    if isinstance(error, socket.gaierror):
        return StoreUnreachable(f"The name of {where} does not resolve.", proxy_error="dns_error")
    if isinstance(error, ConnectionRefusedError):
        return StoreUnreachable(f"{where} refused the connection.")
    return StoreUnreachable(f"{where} cannot be reached.", proxy_error="destination_ip_unroutable")
