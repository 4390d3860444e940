"""Which proxy leads to the integration server, and who said so: the environment's part of the answer. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.errors import SettingsError
from agent.tunnel.proxy_address import ProxyAddress, read_proxy_address
from agent.tunnel.proxy_exemptions import Exemptions
from agent.tunnel.token import split_server

VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""Strongest first, as curl asks them for an https address; nothing else is standard. ``http_proxy`` means plain HTTP
requests, which an SSH connection is not, and is not read."""

SETTING: Final = "proxy.url"

EXEMPTION_VARIABLES: Final = ("no_proxy", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A proxy, the servers that are reached without it, and for sentences where it was ``named``."""

    address: ProxyAddress
    exemptions: Exemptions
    named: str

    def __str__(self) -> str:
        return f"{self.address} ({self.named})"

    @property
    def login_place(self) -> str:
        """Where a person writes the login that belongs to this proxy."""
        in_settings = self.named == SETTING
        return "proxy.username and proxy.password_file" if in_settings else f"user:password@ in {self.named}"

    def leads_to(self, host: str, port: int) -> bool:
        """True when ``host`` is to be reached through the proxy."""
        return not self.exemptions.cover(host, port)


def route_of_environment(environ: Mapping[str, str]) -> ProxyRoute | None:
    """The proxy that the usual variables name, or None.

    An empty variable counts as one that is not set, as in curl.

    Raises:
        SettingsError: the variable that counts holds no address of a proxy; its value is not shown.
    """
    variable = _first(environ, VARIABLES)
    if variable is None:
        return None
    try:
        address = read_proxy_address(environ[variable])
    except ValueError as error:
        raise SettingsError(
            f'The environment variable {variable} {error}; or set proxy.url = "none" to connect without a proxy.'
        ) from None
    exempting = _first(environ, EXEMPTION_VARIABLES)
    return ProxyRoute(address, Exemptions.read_variable(environ[exempting] if exempting else ""), variable)


def describe_route(route: ProxyRoute | None, servers: Sequence[str]) -> str:
    """``none``, or the proxy without its login, and which of ``servers`` (``host:port``) are reached without it."""
    if route is None:
        return "none"
    direct = [server for server in servers if not route.leads_to(*split_server(server))]
    return f"{route}, but not for {', '.join(direct)}" if direct else str(route)


def _first(environ: Mapping[str, str], variables: tuple[str, ...]) -> str | None:
    return next((variable for variable in variables if environ.get(variable, "").strip()), None)
