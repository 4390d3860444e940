"""Addresses as settings and API take them: where to listen, and where clients find this server. Pure."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
from typing import Annotated, Final

from pydantic import AfterValidator

from agent.errors import SettingsError
from agent.host_name import read_host
from agent.server.operations.failures import InvalidError
from agent.server.operations.notice_address import read_email

_PRIVILEGED_BELOW: Final = 1024  # ip_unprivileged_port_start, unless it was changed

_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})", re.ASCII)


def split_address(text: str) -> tuple[str, int]:
    """``host:port`` -> host without brackets, port. Raises ValueError with half a sentence."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError("must be written host:port, such as 0.0.0.0:2222 or [::]:2222")
    return found["host"].strip("[]"), int(found["port"])


def is_loopback(host: str) -> bool:
    """Is it this machine alone that reaches ``host``? A name may be any address, but for ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def why_not_listening(what: str, host: str, port: int, error: OSError, *, option: str, setting: str) -> str:
    """The sentence for a listener that could not be opened, with the option and the setting that name its address."""
    # asyncio puts a text of its own around the system's; the name of a host that does not resolve has no errno.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    remedy = "name another address"
    if error.errno == errno.EADDRINUSE:
        remedy = "stop the program that uses this port, or name another one"
    elif error.errno == errno.EADDRNOTAVAIL:
        remedy = "this machine does not have that address; name another one"
    elif error.errno == errno.EACCES and port < _PRIVILEGED_BELOW:
        remedy = f"ports below {_PRIVILEGED_BELOW} need root or CAP_NET_BIND_SERVICE; use another port"
    return f"{what} cannot listen on {host or '*'}:{port} ({reason}): {remedy} with {option} or {setting}."


def _listen(text: str) -> str:
    split_address(text)
    return text


def _reachable(text: str) -> str:
    for address in text.split(","):
        _, port = split_address(address.strip())
        if port == 0:
            raise ValueError("must name the port that agents connect to")
    return text


def _gateway_url(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9._\[\]:-]+(/[A-Za-z0-9._/-]*)?", text):
        raise ValueError("must be an address such as https://gateway.example.com, without query or user name")
    return text.rstrip("/")


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be IP addresses or networks, such as 10.0.0.5 or 10.0.0.0/8") from None
    return text


def _host(text: str) -> str:
    try:
        return read_host(text)
    except SettingsError:
        raise ValueError("must be a host name or an IP address, such as mail.example.com") from None


def _email(text: str) -> str:
    try:
        return read_email(text)
    except InvalidError:
        raise ValueError("must be an e-mail address such as integration-server@example.com, without a name") from None


ListenAddress = Annotated[str, AfterValidator(_listen)]
PublicAddress = Annotated[str, AfterValidator(_reachable)]
PublicUrl = Annotated[str, AfterValidator(_gateway_url)]
Network = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, AfterValidator(_host)]
EmailAddress = Annotated[str, AfterValidator(_email)]
