"""The settings of the integration server: TOML file, `INTEGRATION_SERVER_*` environment, command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.errors import SettingsError
from agent.server.addresses import ListenAddress, Network, PublicAddress, PublicUrl
from agent.server.settings_tables import (
    MetricsSettings,
    NoticeSettings,
    PanelSettings,
    Patience,
    Seconds,
    SettingsTable,
    SmtpSettings,
    WatchSettings,
)
from agent.settings import AbsolutePath, LogSettings
from agent.settings_loader import load_settings

ENV_PREFIX: Final = "INTEGRATION_SERVER_"
NAME: Final = "integration-server"
SYSTEM_CONFIG: Final = Path("/etc") / NAME / "server.toml"
SYSTEM_DATA: Final = Path("/var/lib") / NAME
SYSTEM_RUNTIME: Final = Path("/run") / NAME
SHIPPED_DOWNLOADS: Final = Path("/usr/share") / NAME / "downloads"
ADMIN_SOCKET: Final = "admin.sock"
NOT_SETTINGS: Final = frozenset({f"{ENV_PREFIX}CONFIG", f"{ENV_PREFIX}KEY_RING"})


class SshSettings(SettingsTable):
    """``[ssh]``: where agents connect to."""

    listen: ListenAddress = Field(default="0.0.0.0:2222", description="Address for agents.")
    login_timeout_s: Seconds = Field(default=10.0, description="From the TCP connection to the secret.")
    unauthenticated_max: int = Field(default=64, ge=1, description="Connections that are not logged in.")
    unauthenticated_per_source_max: int = Field(default=8, ge=1, description="The same, of one address.")
    waiting_max: int = Field(
        default=1024, ge=0, description="Connections that wait for such a place; a quarter of them of one address."
    )
    heartbeat_interval_s: float = Field(
        default=10.0,
        ge=1,
        le=60,
        description="Agents speak when nothing else was said for so many seconds; sooner where silence_timeout_s is "
        "less than two and a half times this.",
    )
    silence_timeout_s: float = Field(
        default=25.0, ge=1, le=600, description="An agent from which nothing came for so many seconds is given up."
    )


class GatewaySettings(SettingsTable):
    """``[gateway]``: where integrations connect to."""

    listen: ListenAddress = Field(
        default="0.0.0.0:8080",
        description="Address for integrations. Without TLS or trusted_proxies only loopback is listened on.",
    )
    tls_certificate_file: AbsolutePath | None = Field(default=None, description="PEM file, with its chain.")
    tls_key_file: AbsolutePath | None = Field(default=None, description="PEM file of the private key.")
    client_head_timeout_s: Seconds = Field(default=10.0, description="Time for a client to send a request head.")
    client_stall_timeout_s: Seconds = Field(default=60.0, description="A client that stops in the middle.")
    client_idle_timeout_s: Seconds = Field(default=75.0, description="A kept-alive connection without a request.")
    store_silence_timeout_s: Seconds = Field(
        default=140.0, description="Nothing from agent or store; longer than the agents' own time-outs."
    )
    queue_timeout_s: Seconds = Field(default=10.0, description="Waiting for a place within the concurrency.")
    queue_max: int = Field(default=100, ge=0, description="Requests that may wait so, per connection.")
    park_timeout_s: Patience = Field(default=10.0, description="Waiting for a tunnel that vanished.")
    park_drain_timeout_s: Patience = Field(default=45.0, description="Waiting for a tunnel that said it comes back.")
    parked_max: int = Field(default=200, ge=0, description="Requests that may wait so, per agent.")
    body_max_bytes: int | None = Field(default=None, ge=0, description="Largest request body; no limit without it.")


class CloudSettings(SettingsTable):
    """``[cloud]``: connections of mode Cloud, which this server dials itself."""

    allow_private_origins: tuple[Network, ...] = Field(
        default=(), description="Private addresses or networks that may be dialed all the same."
    )
    connect_timeout_s: Seconds = Field(default=5.0, description="TCP connection to a store.")
    tls_timeout_s: Seconds = Field(default=5.0, description="TLS handshake with a store.")
    first_byte_timeout_s: Seconds = Field(default=120.0, description="From the request to the first byte.")
    stall_timeout_s: Seconds = Field(default=120.0, description="A store that stops in the middle.")


class ServerSettings(BaseSettings):
    """Everything that `integration-server` can be told. Nothing has to be."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    data_dir: AbsolutePath = Field(default=SYSTEM_DATA, description="Database, host key and key ring.")
    admin_socket: AbsolutePath | None = Field(default=None, description="Socket that the commands talk to.")
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host/database; SQLite in data_dir without it. It holds a password: "
        "better in the environment, or in the systemd credential database-url.",
    )
    downloads_dir: AbsolutePath | None = Field(
        default=None,
        description="Folder of the agent's packages, which the panel hands out under /downloads/ without a login. "
        "Without it: downloads in data_dir, then /usr/share/integration-server/downloads.",
    )
    public_ssh_address: PublicAddress | None = Field(
        default=None, description="host:port under which agents reach this server; several by commas."
    )
    public_gateway_url: PublicUrl | None = Field(default=None, description="Address that integrations use.")
    public_panel_url: PublicUrl | None = Field(default=None, description="Address of the web panel.")
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="Proxies in front; the only source of a believed X-Forwarded-For."
    )
    drain_timeout_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=30.0, description="At the end: time for what runs, then as much for what has begun meanwhile."
    )
    fast_path: bool = Field(
        default=True, description="Handle SSH packets of open channels without asyncssh's cost per packet."
    )
    ssh: SshSettings = SshSettings()
    gateway: GatewaySettings = GatewaySettings()
    panel: PanelSettings = PanelSettings()
    cloud: CloudSettings = CloudSettings()
    watch: WatchSettings = WatchSettings()
    metrics: MetricsSettings = MetricsSettings()
    notices: NoticeSettings = NoticeSettings()
    smtp: SmtpSettings = SmtpSettings()
    log: LogSettings = LogSettings()

    @property
    def admin_socket_path(self) -> Path:
        """As set, or in /run for the system's data directory, else in the data directory."""
        if self.admin_socket is not None:
            return self.admin_socket
        if self.data_dir == SYSTEM_DATA:
            return SYSTEM_RUNTIME / ADMIN_SOCKET
        return self.data_dir / ADMIN_SOCKET

    @property
    def downloads_dirs(self) -> tuple[Path, ...]:
        """Where the agent's packages are; new ones go into the first."""
        if self.downloads_dir is not None:
            return (self.downloads_dir,)
        return (self.data_dir / "downloads", SHIPPED_DOWNLOADS)

    @property
    def gateway_is_protected(self) -> bool:
        """True when keys do not travel readable: TLS here, or a proxy in front that was named."""
        return self.gateway.tls_certificate_file is not None or bool(self.trusted_proxies)

    @property
    def panel_is_protected(self) -> bool:
        """The same of passwords and sessions of the panel."""
        return self.panel.tls_certificate_file is not None or bool(self.trusted_proxies)


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """``/var/lib/integration-server`` for root and the service's own user, else the XDG state directory."""
    # systemd.exec(5): StateDirectory= of the unit
    state = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if state.startswith("/"):
        return Path(state)
    if os.geteuid() == 0 or os.access(SYSTEM_DATA, os.W_OK):
        return SYSTEM_DATA
    state = environ.get("XDG_STATE_HOME") or ""
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / NAME


def default_config(environ: Mapping[str, str]) -> Path | None:
    """The settings file that is read when none is named; None when there is none."""
    home = environ.get("XDG_CONFIG_HOME") or ""
    user = (Path(home) if home.startswith("/") else Path.home() / ".config") / NAME / "server.toml"
    candidates = (SYSTEM_CONFIG,) if os.geteuid() == 0 else (user, SYSTEM_CONFIG)
    return next((path for path in candidates if path.is_file()), None)


def read_settings(*, file: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> ServerSettings:
    """The settings from command line > environment > ``file`` (or the default file) > defaults.

    Raises SettingsError, one sentence.
    """
    own = {name: value for name, value in environ.items() if name not in NOT_SETTINGS}
    chosen = file or (Path(environ[f"{ENV_PREFIX}CONFIG"]) if environ.get(f"{ENV_PREFIX}CONFIG") else None)
    settings = load_settings(
        ServerSettings,
        file=chosen or default_config(environ),
        env_prefix=ENV_PREFIX,
        environ=own,
        overrides=overrides,
    )
    if "data_dir" not in settings.model_fields_set:
        settings = settings.model_copy(update={"data_dir": default_data_dir(environ)})
    for table, listener in (("gateway", settings.gateway), ("panel", settings.panel)):
        if (listener.tls_certificate_file is None) != (listener.tls_key_file is None):
            missing = "tls_key_file" if listener.tls_key_file is None else "tls_certificate_file"
            raise SettingsError(f'The setting "{table}.{missing}" is missing: TLS needs both certificate and key.')
    if contradiction := settings.smtp.contradiction() or settings.metrics.contradiction():
        raise SettingsError(contradiction)
    return settings
