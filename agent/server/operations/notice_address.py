"""Where notices go: the URL of a webhook, an e-mail address. Pure.

The URL of a webhook is a secret: many receivers put a token into its path or query. Only its origin (scheme, host and
port) is ever shown, audited or put into an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from agent.errors import SettingsError
from agent.host_name import read_host
from agent.server.operations.failures import InvalidError

URL_MAX_CHARS: Final = 2000
EMAIL_MAX_CHARS: Final = 254  # RFC 5321 4.5.3.1.3, without the angle brackets
HTTPS_PORT: Final = 443

# RFC 5321 4.1.2: a dot-string at a domain; neither quoted strings nor address literals, which no person has.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL: Final = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>[^@\s]+)")
_LOCAL_MAX_CHARS: Final = 64
_URL_CHARACTERS: Final = re.compile(r"[!-~]+")  # RFC 3986 2: nothing but printable ASCII


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """A webhook's URL, taken apart; ``target`` is path and query, which ``repr`` does not show."""

    host: str
    port: int
    target: str = field(repr=False)

    @property
    def authority(self) -> str:
        """``host`` or ``host:port``, as it stands in the field Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What may be shown: ``https://host[:port]``."""
        return f"https://{self.authority}"

    @property
    def text(self) -> str:
        """The whole URL; a secret."""
        return self.origin + self.target


def read_webhook_url(text: str) -> WebhookUrl:
    """Take a URL apart. Raises InvalidError, which quotes nothing of it, for what is no https URL."""
    text = text.strip()
    if not text or len(text) > URL_MAX_CHARS:
        raise _refused(f"is empty or longer than {URL_MAX_CHARS} characters: give the one that the receiver shows")
    if not _URL_CHARACTERS.fullmatch(text):
        raise _refused("has blanks or letters outside ASCII: copy it again, percent-encoded as the receiver shows it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused("cannot be read: copy it again from the receiver") from None
    if parts.scheme != "https":
        raise _refused(
            "does not begin with https:// : notices are sent encrypted only; put a proxy with TLS before a receiver "
            "that has none"
        )
    if "@" in parts.netloc:
        raise _refused("holds a user name: use a receiver that knows the sender by the URL or the signature")
    if "#" in text:
        raise _refused('has a part behind "#", which is never sent: remove it')
    try:
        host = read_host(parts.netloc.removesuffix(f":{port}" if port is not None else ":"))
    except SettingsError:
        raise _refused("has no valid host: write it as https://hooks.example.com/...") from None
    if port == 0:
        raise _refused("names port 0: give the port of the receiver, or none for 443")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookUrl(host, port if port is not None else HTTPS_PORT, target)


def read_email(text: str) -> str:
    """An e-mail address with its domain in lower case. Raises InvalidError for what is none."""
    text = text.strip()
    found = _EMAIL.fullmatch(text)
    if found is not None and len(found["local"]) <= _LOCAL_MAX_CHARS:
        try:
            address = f"{found['local']}@{read_host(found['domain'])}"
        except SettingsError:
            address = ""
        if address and len(address) <= EMAIL_MAX_CHARS:
            return address
    raise InvalidError("This is not an e-mail address: write it as ops@example.com, without a name.", field="address")


def _refused(why: str) -> InvalidError:
    return InvalidError(f"The URL of the webhook {why}.", field="address")
