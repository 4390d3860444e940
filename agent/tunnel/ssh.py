"""The agent's SSH login: the server's host key is compared with the pins before the secret is sent."""

from __future__ import annotations

import asyncio
import getpass
import hmac
import os
import socket
import time
from collections.abc import Callable

import asyncssh

from agent import __version__
from agent.errors import AgentError
from agent.tunnel.acceleration import Acceleration, accelerate
from agent.tunnel.algorithms import ENCRYPTION_ALGS, HOST_KEY_ALGS, KEX_ALGS, REKEY_BYTES
from agent.tunnel.config import TunnelConfig
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.flow import LinkFlow, propagate_flow_control
from agent.tunnel.text import printable
from agent.tunnel.token import AccessToken


class LoginError(AgentError):
    """No tunnel came of this attempt; ``ending`` says why, and ``str(error)`` is its sentence.

    ``pin_matched``: the server had shown its key by then, and it was the right one.
    """

    def __init__(self, ending: Ending, *, pin_matched: bool = False) -> None:
        super().__init__(ending.detail)
        self.ending = ending
        self.pin_matched = pin_matched


class PinnedClient(asyncssh.SSHClient):
    """asyncssh's callbacks of one connection.

    Its flags, not asyncssh's exceptions, tell what went wrong: a server can send any disconnect code it likes.
    ``on_lost`` is called once, when the connection is gone. ``key_shown_at`` is on the monotonic clock.
    """

    def __init__(self, token: AccessToken, config: TunnelConfig, on_lost: Callable[[Exception | None], None]) -> None:
        self._token = token
        self._config = config
        self._on_lost = on_lost
        self.host_key = ""
        self.pin_matched = False
        self.key_shown_at = 0.0
        self.secret_sent = False
        self.secret_refused = False
        self.has_transport = False
        self.acceleration = Acceleration()
        # set by connection_made
        self._conn: asyncssh.SSHClientConnection
        self.flow: LinkFlow

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """TCP is up, nothing was sent."""
        self.has_transport = True
        self._conn = conn
        self.flow = propagate_flow_control(conn, self._config.link)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - asyncssh's signature
        """True when the key is pinned; asyncssh asks at every key exchange, before authentication."""
        self.host_key = key.get_fingerprint("sha256")
        self.key_shown_at = time.monotonic()
        offered = self.host_key.encode("ascii")
        self.pin_matched = any(hmac.compare_digest(offered, pin.encode("ascii")) for pin in self._token.pins)
        return self.pin_matched

    def password_auth_requested(self) -> str | None:
        """The secret, once, and only to a server whose key is pinned."""
        if not self.pin_matched:
            return None
        if self.secret_sent:
            self.secret_refused = True
            return None
        self.secret_sent = True
        return self._token.secret

    def auth_completed(self) -> None:
        """Logged in."""
        self.acceleration = accelerate(self._conn, is_wanted=self._config.fast_path)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._on_lost(exc)

    def explain(self, server: str, error: Exception | None) -> Ending:
        """Why the login failed, from what this side saw."""
        if self.host_key and not self.pin_matched:
            pins = ", ".join(self._token.pins)
            return Ending(
                EndReason.WRONG_HOST_KEY,
                f"The server at {server} shows the host key {self.host_key}, but the access token pins {pins}: the"
                " secret was not sent; ask the server's administrator which is right, and install a new token if the"
                " key was changed on purpose.",
            )
        if self.secret_refused:
            return Ending(
                EndReason.TOKEN_REFUSED,
                f"The access token is well-formed but the server at {server} refuses it: it was revoked or belongs to"
                " another server; make a new one on the integration server.",
            )
        cause = printable(str(error)) or type(error).__name__ if error is not None else "closed"
        if self.has_transport and "integration-server" in str(self._conn.get_extra_info("server_version", "")):
            detail = f"The integration server at {server} broke off the login ({cause}): it is busy or stopping."
        else:
            detail = (
                f"The SSH login at {server} failed ({cause}): check that this is the integration server's SSH port."
            )
        return Ending(EndReason.HANDSHAKE, detail)


async def login(
    sock: socket.socket,
    server: str,
    token: AccessToken,
    config: TunnelConfig,
    on_lost: Callable[[Exception | None], None],
) -> tuple[asyncssh.SSHClientConnection, PinnedClient]:
    """Log in over a connected socket, which this call owns; the caller sets the time limit.

    Raises ``LoginError`` with what went wrong, told by our own flags.
    """
    _name_local_user()
    client = PinnedClient(token, config, on_lost)
    try:
        conn = await asyncssh.connect(
            host=server,
            sock=sock,
            client_factory=lambda: client,
            client_version=f"prestashop-agent_{__version__}",
            config=None,
            # Only this value makes asyncssh ask us about the key: None and [] gave the password to a wrong server.
            known_hosts=([], [], []),
            server_host_key_algs=list(HOST_KEY_ALGS),
            x509_trusted_certs=None,
            x509_trusted_cert_paths=[],
            username=token.agent_id,
            client_keys=None,
            agent_path=None,
            agent_forwarding=False,
            pkcs11_provider=None,
            preferred_auth=["password"],
            public_key_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            gss_kex=False,
            gss_auth=False,
            disable_trivial_auth=True,
            encryption_algs=list(ENCRYPTION_ALGS),
            kex_algs=list(KEX_ALGS),
            compression_algs=None,
            rekey_bytes=REKEY_BYTES,
            login_timeout=config.login_timeout_s,
            connect_timeout=None,
            keepalive_interval=0,
            utf8_decode_errors="replace",
            canonicalize_hostname=False,
            proxy_command=None,
        )
    except Exception as error:  # noqa: BLE001 - asyncssh hands on whatever a server's bytes made it stumble over
        _dispose(sock, client)
        raise LoginError(client.explain(server, error), pin_matched=client.pin_matched) from None
    except asyncio.CancelledError:
        _dispose(sock, client)
        raise
    return conn, client


def _dispose(sock: socket.socket, client: PinnedClient) -> None:
    """Let go of the socket of a login that failed.

    Once there is a transport, uvloop closes the descriptor by its number and, when a reset came at once, never tells
    this object: closing it then, or its end as garbage, would close whatever has been given that number meanwhile,
    another tunnel or a store connection. asyncio's transports close this very object, which may be closed twice.
    """
    by_number = not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)
    if client.has_transport and by_number:
        sock.detach()
    else:
        sock.close()


def _name_local_user() -> None:
    """Give this process a user name where it has none (a container's arbitrary uid): asyncssh insists on one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = "prestashop-agent"
