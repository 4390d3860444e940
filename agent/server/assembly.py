"""What the settings mean for each part of the server: small frozen values, so that no part reads settings itself."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from agent.errors import SettingsError
from agent.forward.target import ForwardTimeouts
from agent.server.addresses import split_address
from agent.server.cloud import CloudForwarder
from agent.server.doorkeeper import DoorLimits
from agent.server.gateway_context import GatewayContext, GatewayLimits
from agent.server.own_addresses import own_addresses
from agent.server.settings import ServerSettings
from agent.server.ssh_config import SshConfig
from agent.tunnel.flow import LinkLimits


@dataclass(frozen=True, slots=True)
class WebListener:
    """A listener for HTTP as the settings have it; ``is_protected``: secrets do not travel readable on its way.

    ``name`` is its table in the settings, ``secrets`` what would travel readable without TLS.
    """

    name: str
    secrets: str
    listen: str
    tls_certificate_file: Path | None
    tls_key_file: Path | None
    is_protected: bool

    def address(self) -> tuple[str, int, str]:
        """Where to listen, and why only there ("" when it listens where it was told to).

        Without TLS, and without a proxy in front that was named, only this machine can connect.
        """
        host, port = split_address(self.listen)
        if self.is_protected or host == "localhost":
            return host, port, ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            address = ipaddress.ip_address("0.0.0.0")  # noqa: S104 - a name may be any address
        if address.is_loopback:
            return host, port, ""
        reason = (
            f"not {self.listen}, so that only this machine can connect: without TLS {self.secrets} travel readable; "
            f"set {self.name}.tls_certificate_file and {self.name}.tls_key_file, or trusted_proxies"
        )
        return ("::1" if address.version == 6 else "127.0.0.1"), port, reason

    def tls(self) -> ssl.SSLContext | None:
        """TLS of this listener, None without. Raises SettingsError when the files cannot be used."""
        certificate, key = self.tls_certificate_file, self.tls_key_file
        if certificate is None or key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"The {self.name}'s certificate {certificate} and key {key} cannot be used "
                f"({error.strerror or error}): give PEM files that belong together and that integration-server's user "
                "can read."
            ) from None
        return context

    def certificate_ends_at(self) -> float | None:
        """When the certificate ends that is given out (unix time); None without TLS, or when it cannot be told."""
        if self.tls_certificate_file is None:
            return None
        try:
            first = x509.load_pem_x509_certificates(self.tls_certificate_file.read_bytes())[0]
        except (OSError, ValueError):  # ``tls`` has said what is wrong, or will
            return None
        return first.not_valid_after_utc.timestamp()


def gateway_listener(settings: ServerSettings) -> WebListener:
    """Where integrations connect to."""
    gateway = settings.gateway
    return WebListener(
        "gateway",
        "client keys",
        gateway.listen,
        gateway.tls_certificate_file,
        gateway.tls_key_file,
        settings.gateway_is_protected,
    )


def panel_listener(settings: ServerSettings) -> WebListener:
    """Where browsers and programs reach the panel and the API."""
    panel = settings.panel
    return WebListener(
        "panel",
        "passwords",
        panel.listen,
        panel.tls_certificate_file,
        panel.tls_key_file,
        settings.panel_is_protected,
    )


def cloud_forwarder(settings: ServerSettings, context: GatewayContext) -> CloudForwarder:
    """What dials the stores of mode Cloud."""
    cloud = settings.cloud
    return CloudForwarder(
        context.spawn,
        allowed=[ipaddress.ip_network(text, strict=False) for text in cloud.allow_private_origins],
        own=own_addresses(),
        timeouts=ForwardTimeouts(
            connect_s=cloud.connect_timeout_s,
            tls_s=cloud.tls_timeout_s,
            first_byte_s=cloud.first_byte_timeout_s,
            stall_s=cloud.stall_timeout_s,
        ),
    )


def gateway_limits(settings: ServerSettings) -> GatewayLimits:
    """The limits of the gateway."""
    gateway = settings.gateway
    return GatewayLimits(
        client_head_s=gateway.client_head_timeout_s,
        client_stall_s=gateway.client_stall_timeout_s,
        client_idle_s=gateway.client_idle_timeout_s,
        upstream_silence_s=gateway.store_silence_timeout_s,
        queue_s=gateway.queue_timeout_s,
        queue_max=gateway.queue_max,
        park_s=gateway.park_timeout_s,
        park_drain_s=gateway.park_drain_timeout_s,
        parked_max=gateway.parked_max,
        body_max_bytes=gateway.body_max_bytes,
    )


def ssh_config(settings: ServerSettings, audit: Callable[[str, Mapping[str, str]], None]) -> SshConfig:
    """The limits of the SSH endpoint; ``audit`` is told of instances that are turned away."""
    door = DoorLimits(
        total_max=settings.ssh.unauthenticated_max,
        per_source_max=settings.ssh.unauthenticated_per_source_max,
        waiting_max=settings.ssh.waiting_max,
        waiting_per_source_max=(settings.ssh.waiting_max + 3) // 4,
        waiting_s=0.6 * settings.ssh.login_timeout_s,  # which goes on meanwhile: the rest is for the login
    )
    silence_s = settings.ssh.silence_timeout_s
    return SshConfig(
        login_timeout_s=settings.ssh.login_timeout_s,
        # An agent needs two chances to be heard within the limit, however short that was set.
        heartbeat_interval_s=min(settings.ssh.heartbeat_interval_s, silence_s / 2.5),
        silence_limit_s=silence_s,
        link=LinkLimits.within(silence_s),
        fast_path=settings.fast_path,
        door=door,
        audit=audit,
    )
