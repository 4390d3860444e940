"""Tables of the server's settings that concern the control plane: panel, mail, watching."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from agent.server.addresses import EmailAddress, HostName, ListenAddress, Network, is_loopback, split_address
from agent.settings import AbsolutePath

Seconds = Annotated[float, Field(gt=0, le=86400)]
Patience = Annotated[float, Field(ge=0, le=300)]

_SMTP_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}  # RFC 8314 3.3, RFC 5321


class SettingsTable(BaseModel):
    """What every table of the server's settings obeys: no unknown keys, nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PanelSettings(SettingsTable):
    """``[panel]``: the web panel and the control API, for browsers and programs."""

    enabled: bool = Field(default=True, description="Listen at all; commands work without it.")
    listen: ListenAddress = Field(
        default="0.0.0.0:8081",
        description="Address of the panel. Without TLS or trusted_proxies only loopback is listened on.",
    )
    tls_certificate_file: AbsolutePath | None = Field(default=None, description="PEM file, with its chain.")
    tls_key_file: AbsolutePath | None = Field(default=None, description="PEM file of the private key.")
    session_idle_timeout_s: Annotated[float, Field(ge=60, le=2_592_000)] = Field(
        default=43_200, description="A session that was not used for so many seconds ends."
    )
    session_lifetime_s: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=604_800, description="A session ends after so many seconds in any case."
    )


class WatchSettings(SettingsTable):
    """``[watch]``: tests of the connections that the server makes by itself, and what it reports."""

    test_interval_s: Annotated[float, Field(ge=0, le=604_800)] = Field(
        default=3600.0, description="Every enabled connection is tested once in so many seconds; 0: only by hand."
    )
    history_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=100, description="Tests that are kept per connection."
    )
    offline_after_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0, description="An agent that is away for so many seconds is reported; a restart is not."
    )
    certificate_warning_days: Annotated[int, Field(ge=1, le=365)] = Field(
        default=21, description="A store's certificate that ends within so many days is reported."
    )


class MetricsSettings(SettingsTable):
    """``[metrics]``: a port for Prometheus; /metrics, /livez and /readyz are on the admin socket in any case."""

    listen: ListenAddress | None = Field(
        default=None, description="Address for scrapes, such as 127.0.0.1:9463; no port without it."
    )
    allow_remote: bool = Field(
        default=False,
        description="Allow an address that other machines reach: they can read names of agents and connections.",
    )

    def contradiction(self) -> str:
        """What does not fit together, as a sentence; "" when all does."""
        if self.listen is None or self.allow_remote or is_loopback(split_address(self.listen)[0]):
            return ""
        return (
            f'The setting "metrics.listen" is {self.listen}, which other machines may reach without a password: name '
            "127.0.0.1 or [::1], or set metrics.allow_remote = true behind a firewall."
        )


class NoticeSettings(SettingsTable):
    """``[notices]``: where webhooks may lead to; the targets themselves are no settings."""

    allow_private_targets: tuple[Network, ...] = Field(
        default=(), description="Private addresses or networks that webhooks may be sent to all the same."
    )
    ca_file: AbsolutePath | None = Field(
        default=None, description="PEM file of CAs that are trusted for webhooks, besides those of the system."
    )


class SmtpSettings(SettingsTable):
    """``[smtp]``: the mail server that notices are sent through; without host no e-mail is sent."""

    host: HostName | None = Field(default=None, description="Mail server. Its sender must be set, too.")
    port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        default=None, description="Port of it; 587 for starttls, 465 for tls, 25 for none where it is not set."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="TLS after STARTTLS, which is insisted on; TLS from the start; or no TLS."
    )
    sender: EmailAddress | None = Field(default=None, description="Address that notices come from.")
    user: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="User to log in as; nobody logs in without it. Not without TLS."
    )
    password: SecretStr | None = Field(
        default=None,
        description="Its password. Better in password_file, or in the systemd credential smtp-password.",
    )
    password_file: AbsolutePath | None = Field(
        default=None, description="File that holds the password and that nobody else can read."
    )
    ca_file: AbsolutePath | None = Field(
        default=None, description="PEM file of CAs that are trusted for it, besides those of the system."
    )

    @property
    def port_used(self) -> int:
        """As set, or the usual one."""
        return self.port if self.port is not None else _SMTP_PORTS[self.security]

    def contradiction(self) -> str:
        """What does not fit together, as a sentence without a value; "" when all does."""
        if self.host is None:
            if self.model_fields_set:
                return 'The setting "smtp.host" is missing: the table smtp is of no use without it.'
            return ""
        if self.sender is None:
            return 'The setting "smtp.sender" is missing: notices need an address that they come from.'
        if self.password is not None and self.password_file is not None:
            return 'The settings "smtp.password" and "smtp.password_file" exclude each other: remove one.'
        if self.user is None and (self.password is not None or self.password_file is not None):
            return 'The setting "smtp.user" is missing: a password needs one.'
        if self.user is not None and self.security == "none":
            return 'The setting "smtp.security" is none, with which the password would travel readable: use starttls.'
        return ""
