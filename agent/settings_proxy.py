"""The ``[proxy]`` table, and which proxy the agent goes through: that of the settings, or of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from agent.errors import SettingsError
from agent.private_file import PrivateFile
from agent.settings_table import AbsolutePath, SettingsTable
from agent.tunnel.proxy_address import ProxyAddress, ProxyLogin, read_proxy_address
from agent.tunnel.proxy_exemptions import Exemptions
from agent.tunnel.proxy_route import SETTING, ProxyRoute, route_of_environment

NO_PROXY_AT_ALL: Final = "none"

LOGIN_ADVICE: Final = (
    "put the password into a file of its own that only the agent's user can read (0600), and name the file with "
    '"password_file".'
)

_FILE: Final = PrivateFile(name="proxy password", content="the password", remedy="change the password at the proxy")


class ProxySettings(SettingsTable):
    """The proxy on the way to the integration server. Stores are never reached through it.

    Every check is made by ``read_proxy_route``, whose sentences never show a value: a URL may hold a password that
    does not belong there.
    """

    url: str | None = Field(
        default=None,
        description='"http://proxy.example.com:3128" (CONNECT), "socks5h://proxy.example.com:1080" (the proxy resolves '
        'the server\'s name) or "socks5://..." (this machine does); "none" for no proxy whatever the environment says. '
        "Default: the environment variables https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, in this order.",
        repr=False,
    )
    username: str | None = Field(default=None, description="User name at the proxy, if it asks for one.", repr=False)
    password_file: AbsolutePath | None = Field(
        default=None, description="File with the password at the proxy, readable by the agent's user only."
    )
    no_proxy: tuple[str, ...] = Field(
        default=(),
        description='Servers that are reached without the proxy: names (with all below them), addresses, "10.0.0.0/8". '
        "The environment's list is no_proxy or NO_PROXY, and counts only with a proxy of the environment.",
    )


def read_proxy_route(settings: ProxySettings, environ: Mapping[str, str]) -> ProxyRoute | None:
    """The proxy to go through, or None. ``proxy.url`` settles it; without it the environment does.

    Raises:
        SettingsError: what counts cannot be used; or user name, password or exemptions stand there without
            ``proxy.url``, where they would be without effect.
    """
    if settings.url is None:
        for key in ("username", "password_file", "no_proxy"):
            if getattr(settings, key):
                raise SettingsError(
                    f'The setting "proxy.{key}" has no effect without "{SETTING}": write the address of the '
                    "proxy there, or use the environment variables alone."
                )
        return route_of_environment(environ)
    if settings.url.strip().lower() == NO_PROXY_AT_ALL:
        return None
    if "@" in settings.url:
        raise SettingsError(
            f'The setting "{SETTING}" may not hold a user name or a password: write the user name with '
            f'"proxy.username" and {LOGIN_ADVICE}'
        )
    try:
        address = read_proxy_address(settings.url)
    except ValueError as error:
        raise SettingsError(f'The setting "{SETTING}" {error}; "none" is for no proxy at all.') from None
    try:
        exemptions = Exemptions.read(settings.no_proxy)
    except ValueError as error:
        raise SettingsError(f'The setting "proxy.no_proxy" {error}.') from None
    login = _login(settings, address, Path(environ.get("CREDENTIALS_DIRECTORY") or "/dev/null"))
    return ProxyRoute(ProxyAddress(address.scheme, address.host, address.port, login), exemptions, SETTING)


def _login(settings: ProxySettings, address: ProxyAddress, credentials: Path) -> ProxyLogin | None:
    """``credentials`` is systemd's directory of credentials, whose files have modes of their own."""
    if settings.username is None:
        if settings.password_file is not None:
            raise SettingsError(
                'The setting "proxy.username" is missing: a password needs the user name it belongs to.'
            )
        return None
    password = b""
    if settings.password_file is not None:
        is_credential = settings.password_file.is_relative_to(credentials)
        # Editors end a file by a line break; any other blank may be part of the password.
        password = _FILE.read(settings.password_file, is_credential=is_credential).rstrip(b"\r\n")
    login = ProxyLogin(settings.username.encode("utf-8"), password)
    try:
        login.check(address.scheme)
    except ValueError as error:
        raise SettingsError(f'The login at the proxy ("proxy.username", "proxy.password_file") {error}.') from None
    return login
