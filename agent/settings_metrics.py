"""The ``[metrics]`` table: whether the agent's pages are there over TCP, and for whom."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from agent.errors import SettingsError
from agent.host_name import read_host
from agent.settings_table import SettingsTable

_FORM: Final = 'must be an address and a port, such as "127.0.0.1:9464" or "[::1]:9464"'


def split_listen(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """``address:port``, an IPv6 address in brackets. Raises ``ValueError`` when it is something else."""
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (port.isascii() and port.isdigit() and int(port) < 65536) or (":" in host) != bracketed:
        raise ValueError(_FORM)
    try:
        return ipaddress.ip_address(host[1:-1] if bracketed else host), int(port)
    except ValueError:
        raise ValueError(_FORM) from None


def _listen(text: str) -> str:
    split_listen(text)
    return text


def _name(text: str) -> str:
    try:
        return read_host(text)
    except SettingsError:
        raise ValueError('must hold host names such as "shop-agent.example.com"') from None


class MetricsSettings(SettingsTable):
    """The pages /metrics, /livez and /readyz over TCP. They are always there on the agent's own socket."""

    allow_remote: bool = Field(
        default=False,
        description="Listen on an address that other machines reach. Whoever reaches it reads the pages, which name "
        "the stores; there is neither password nor TLS.",
    )
    listen: Annotated[str, AfterValidator(_listen)] | None = Field(
        default=None,
        description='Where to listen, such as "127.0.0.1:9464" (port 0: any free one). Default: nowhere.',
    )
    hosts: tuple[Annotated[str, AfterValidator(_name)], ...] = Field(
        default=(),
        description="Names by which the pages may be asked for, besides localhost, this machine's own name and "
        "addresses. Others are refused, so that no page in somebody's browser can read them.",
    )

    @property
    def place(self) -> tuple[str, int] | None:
        """Address and port to listen on; None: nowhere."""
        if self.listen is None:
            return None
        address, port = split_listen(self.listen)
        return str(address), port

    @field_validator("listen")
    @classmethod
    def _here_only(cls, listen: str | None, info: ValidationInfo) -> str | None:
        if listen is not None and not info.data.get("allow_remote") and not split_listen(listen)[0].is_loopback:
            raise ValueError(
                'must be an address that only this machine reaches, such as "127.0.0.1:9464", since there is no '
                "password; set allow_remote = true beside it where only machines that may read the metrics reach it"
            )
        return listen
