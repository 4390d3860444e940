"""The shop's own host name where it differs from the store URL. Pure."""

from __future__ import annotations

import re

from agent.errors import SettingsError
from agent.host_name import read_host
from agent.server.operations.failures import InvalidError
from agent.server.operations.records import Mode


def clean_shop_host(text: str, mode: Mode) -> str:
    """``host`` or ``host:port`` as it goes into ``Host`` (RFC 9110 7.2), host in its one form.

    Raises InvalidError for what is none, and in mode on-premise, where the agent sends its own.
    """
    if mode == "on-premise":
        raise InvalidError(
            "In mode on-premise the agent says under which name the store is asked: leave the shop host out here and "
            "set shop_host under the store's [[stores]] in the agent.toml of the agent.",
            field="shop_host",
        )
    found = re.fullmatch(r"(\[[^\[\]]+\]|[^:\[\]/?#@]+)(?::([0-9]{1,5}))?", text.strip())
    try:
        if found is None or not 0 < int(found[2] or 1) < 65536:
            raise SettingsError
        host = read_host(found[1])
    except SettingsError:
        raise InvalidError(
            "The shop host must be the shop's domain, such as shop.example.com or shop.example.com:8080.",
            field="shop_host",
        ) from None
    bracketed = f"[{host}]" if ":" in host else host
    return f"{bracketed}:{int(found[2])}" if found[2] else bracketed
