"""The settings of the agent: what the file, the environment and the command line may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.errors import SettingsError
from agent.host_name import read_host
from agent.locations import Locations
from agent.policy import METHODS
from agent.rewrite import is_extra_field_allowed
from agent.settings_loader import load_settings
from agent.settings_log import AccessLogSettings, LogSettings
from agent.settings_metrics import MetricsSettings
from agent.settings_proxy import LOGIN_ADVICE, ProxySettings
from agent.settings_table import AbsolutePath, SettingsTable
from agent.settings_times import HeartbeatSettings, ReconnectSettings, TimeoutSettings
from agent.store_url import read_store_url

__all__ = [
    "ENV_PREFIX",
    "AbsolutePath",
    "AccessLogSettings",
    "AgentSettings",
    "HeartbeatSettings",
    "LogSettings",
    "MetricsSettings",
    "ProxySettings",
    "ReconnectSettings",
    "StoreSettings",
    "TimeoutSettings",
    "load_agent_settings",
    "load_settings",
]

ENV_PREFIX: Final = "PRESTASHOP_AGENT_"

NOT_SETTINGS: Final = frozenset({"PRESTASHOP_AGENT_CONFIG", "PRESTASHOP_AGENT_TESTS_STRICT"})
"""Variables with our prefix that are read elsewhere: the settings file's name, and the test suite's switch."""

_WRONG_PLACE: Final = (
    "put the token into a file of its own that only the agent's user can read (0600) and name the file "
    'with "token_file".'
)


def _methods(value: Any) -> Any:  # noqa: ANN401 - before validation it can be anything
    """``"read"`` and ``"write"`` stand for the methods they need; a list may be written in lower case."""
    if isinstance(value, str):
        if value.lower() not in ("read", "write"):
            raise ValueError('must be "read", "write" or a list of methods such as ["GET", "HEAD", "PUT"]')
        return ["GET", "HEAD"] if value.lower() == "read" else list(METHODS)
    if isinstance(value, list):
        return [item.upper() if isinstance(item, str) else item for item in value]
    return value


def _number_as_text(value: Any) -> Any:  # noqa: ANN401 - before validation it can be anything
    """``id_shop = 2`` means the same as ``id_shop = "2"``."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _address(text: str) -> str:
    """Check ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``, by the grammar of the hosts of URLs."""
    host, _ = split_address(text, 0)
    _host(host)
    return text


def _host(text: str) -> str:
    """A host name or an address, with or without brackets, in its one form and without brackets."""
    try:
        return read_host(f"[{text}]" if ":" in text and not text.startswith("[") else text)
    except SettingsError:
        raise ValueError('must hold a host name such as "shop.example.com", or an IP address without zone') from None


def split_address(text: str, default_port: int) -> tuple[str, int]:
    """``host[:port]`` -> host without brackets, port.

    Raises:
        ValueError: it is neither.
    """
    wrong = ValueError('must be "host" or "host:port", such as "10.0.0.5:8080" or "[2001:db8::5]:443"')
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        host, port = text, ""
    elif not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise wrong
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not host or (":" in host) != bracketed or not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
        raise wrong
    return host, int(port) if port else default_port


def _field_name(name: str) -> str:
    if not is_extra_field_allowed(name.encode()):
        raise ValueError("is not a request field that may be let through: it could change host, rights or framing")
    return name.lower()


Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Resource = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]
Address = Annotated[str, AfterValidator(_address)]
ServerName = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_host)]
FieldName = Annotated[str, AfterValidator(_field_name)]


class StoreSettings(SettingsTable):
    """One store that the agent opens to the integration server; nothing else can be reached through it."""

    url: str = Field(
        description="Address of the shop, of its back office or of its webservice, as copied from the browser. "
        "Written as the webservice's address (https://shop.example.com/api/) it is never guessed at.",
        max_length=2048,
        repr=False,  # a back-office address carries a token
    )
    methods: Annotated[tuple[Method, ...], BeforeValidator(_methods)] = Field(
        default=("GET", "HEAD"),
        min_length=1,
        description='What may be done: "read" (GET and HEAD), "write" (every method) or a list of methods.',
    )
    resources: tuple[Resource, ...] | None = Field(
        default=None,
        description='Webservice resources that are open, such as ["products", "orders"]; without it, all of them.',
    )
    shop_host: Address | None = Field(
        default=None,
        description="The shop's own domain, sent as Host, when the URL holds another name or an IP address.",
    )
    connect: Address | None = Field(
        default=None,
        description='Where to connect instead of the URL\'s host: "host" or "host:port", such as "127.0.0.1:8080".',
    )
    ca_file: AbsolutePath | None = Field(
        default=None,
        description="PEM file with the certificate of a private CA which this store's certificate comes from.",
    )
    server_name: ServerName | None = Field(
        default=None,
        description="Name that must stand in the store's certificate, when it differs from the URL's host.",
    )
    verify: bool = Field(
        default=True,
        description="Check the store's certificate. Switched off, anyone on the way can read and change "
        "everything; there is a warning at each start.",
    )
    id_shop: Annotated[
        Annotated[str, Field(pattern=r"^([1-9][0-9]{0,8}|all)$")] | None, BeforeValidator(_number_as_text)
    ] = Field(default=None, description='Multistore: the only shop number that requests may name, or "all".')
    virtual_uri: Annotated[str, Field(pattern=r"^/?[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*/?$")] | None = Field(
        default=None, description="Multistore: the shop's virtual folder, where shops share a domain."
    )
    forward_fields: tuple[FieldName, ...] = Field(
        default=(), description="Further request fields that reach the store, for a module or a proxy that needs them."
    )
    max_connections: int = Field(
        default=100, ge=1, le=1000, description="Connections to this store at a time; more requests are told to wait."
    )
    max_requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Requests that reach this store in a minute, a sixth of them at once; more are answered with "
        "`connection_busy` and the seconds to wait. Without it: no limit.",
    )

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str) -> str:
        try:
            read_store_url(url)
        except SettingsError as error:
            raise ValueError(f"cannot be used: {str(error).rstrip('.')}") from None
        return url


class AgentSettings(BaseSettings):
    """Everything that ``prestashop-agent`` can be told. Only the access token has no default."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    refused_keys: ClassVar[dict[str, str]] = {
        "token": _WRONG_PLACE,
        "access_token": _WRONG_PLACE,
        "proxy.password": LOGIN_ADVICE,
    }

    token_file: AbsolutePath | None = Field(
        default=None,
        description="File with the access token, readable by the agent's user only. Default: the systemd "
        "credential `token`, else /etc/prestashop-agent/token, ~/.config/prestashop-agent/token without root.",
    )
    state_dir: AbsolutePath | None = Field(
        default=None,
        description="Where the instance's id, pauses and the access log live; one process at a time. Default: "
        "/var/lib/prestashop-agent, ~/.local/state/prestashop-agent without root.",
    )
    runtime_dir: AbsolutePath | None = Field(
        default=None,
        description="Where the running agent's socket lives. Default: "
        "/run/prestashop-agent; without root $XDG_RUNTIME_DIR/prestashop-agent, or where that variable is not set "
        "$XDG_STATE_HOME/prestashop-agent (~/.local/state/prestashop-agent).",
    )
    tunnels: int = Field(default=2, ge=1, le=8, description="Tunnels kept open at the same time.")
    fast_path: bool = Field(
        default=True, description="Handle SSH packets of open channels without asyncssh's cost per packet."
    )
    log: LogSettings = Field(default=LogSettings(), description="What is logged, and how.")
    access_log: AccessLogSettings = Field(
        default=AccessLogSettings(), description="A line for each request to a store, in files of their own."
    )
    timeouts: TimeoutSettings = Field(default=TimeoutSettings(), description="How long the agent waits.")
    reconnect: ReconnectSettings = Field(default=ReconnectSettings(), description="Waiting between attempts.")
    heartbeat: HeartbeatSettings = Field(default=HeartbeatSettings(), description="Noticing a dead link.")
    proxy: ProxySettings = Field(default=ProxySettings(), description="The proxy on the way to the server.")
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="The agent's pages over TCP.")
    stores: tuple[StoreSettings, ...] = Field(
        default=(), description="The stores that are open, one [[stores]] table each. Nothing else can be reached."
    )


def load_agent_settings(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any], *, is_root: bool
) -> tuple[AgentSettings, Locations]:
    """The agent's settings, and the places where its files are, with everything filled in.

    ``config`` names the settings file; None means the default place, where a missing file is no error.

    Raises:
        SettingsError: as ``load_settings``.
    """
    places = Locations.of(environ, is_root=is_root)
    file = config if config is not None else places.config_file
    # Only a file that was asked for must be there; one that is there and unreadable is an error in both cases.
    present = config is not None or file.is_symlink() or _exists(file)
    settings = load_settings(
        AgentSettings,
        file=file if present else None,
        env_prefix=ENV_PREFIX,
        environ={name: value for name, value in environ.items() if name not in NOT_SETTINGS},
        overrides=overrides,
    )
    return settings, places.chosen(
        config_file=file if present else None,
        token_file=settings.token_file,
        state_dir=settings.state_dir,
        runtime_dir=settings.runtime_dir,
    )


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return True
