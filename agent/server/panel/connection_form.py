"""The form of a connection: from its fields to a wish, and from a connection to its fields; without the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from agent.policy import METHODS
from agent.server.operations.connection_wish import ConnectionWish
from agent.server.operations.failures import InvalidError
from agent.server.operations.methods import READ_METHODS
from agent.server.operations.records import Connection, Mode
from agent.server.panel.visitor import Submitted

FIELDS: Final = (
    *("name", "mode", "agent", "store_url", "shop_host", "id_shop", "virtual_uri", "key_in", "concurrency"),
    *("response_timeout_s", "test_path", "test_method", "headers", "resources", "ca_pem", "verify_tls"),
)
NEW: Final[Mapping[str, Any]] = {
    "mode": "on-premise",
    "key_in": "basic",
    "concurrency": "8",
    "test_path": "/api/",
    "test_method": "GET",
    "verify_tls": "on",
    "methods": list(METHODS),
}
ADVANCED: Final = frozenset(FIELDS) - {"name", "mode", "agent", "store_url"} | {"methods"}


def values_of(connection: Connection) -> dict[str, Any]:
    """What the form of this connection shows."""
    return {
        "name": connection.name,
        "mode": connection.mode,
        "agent": connection.agent_id or "",
        "store_url": connection.store.webservice_url,
        "shop_host": connection.shop_host or "",
        "id_shop": connection.store.id_shop,
        "virtual_uri": connection.store.virtual_uri,
        "key_in": connection.key_in,
        "concurrency": str(connection.concurrency),
        "response_timeout_s": f"{connection.response_timeout_s:g}" if connection.response_timeout_s else "",
        "test_path": connection.test_path,
        "test_method": connection.test_method,
        "headers": "\n".join(f"{name}: {value}" for name, value in connection.headers),
        "resources": ", ".join(connection.resources or ()),
        "ca_pem": connection.ca_pem or "",
        "verify_tls": "on" if connection.verify_tls else "",
        "methods": list(connection.methods),
    }


def values_sent(submitted: Submitted) -> dict[str, Any]:
    """What was typed; all but the key. The read-only switch stands for its methods."""
    methods = READ_METHODS if submitted.text("read_only") else submitted.texts("methods")
    return {**{name: submitted.text(name) for name in FIELDS}, "methods": list(methods)}


def values_shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, less what of an address may be secret: user-info and parameters (``ws_key``, ``token``)."""
    address = re.split(r"[?#]", values["store_url"], maxsplit=1)[0]
    return {**values, "store_url": re.sub(r"//[^/]*@", "//", address)}


def wish_of(values: Mapping[str, Any]) -> ConnectionWish:
    """What is asked for. Raises InvalidError for a field that cannot be read."""
    mode = values["mode"]
    if mode not in ("cloud", "on-premise"):
        raise InvalidError("Choose Cloud or On-premise.", field="mode")
    cloud = mode == "cloud"
    methods = list(values["methods"])
    return ConnectionWish(
        name=values["name"],
        mode=cast("Mode", mode),
        store_url=values["store_url"],
        agent=None if cloud else values["agent"] or None,
        key_in="ws_key" if values["key_in"] == "ws_key" else "basic",
        methods=methods,
        resources=_words(values["resources"]) or None,
        concurrency=int(_number("concurrency", values["concurrency"] or "8")),
        id_shop=values["id_shop"],
        virtual_uri=values["virtual_uri"],
        shop_host=(values["shop_host"] or None) if cloud else None,
        headers=_headers(values["headers"]),
        response_timeout_s=_number("response_timeout_s", values["response_timeout_s"])
        if values["response_timeout_s"]
        else None,
        test_path=values["test_path"] or "/api/",
        test_method="HEAD" if values["test_method"] == "HEAD" else "GET",
        ca_pem=(values["ca_pem"] or None) if cloud else None,
        verify_tls=values["verify_tls"] == "on" if cloud else True,
    )


def changes_of(wish: ConnectionWish) -> dict[str, Any]:
    """The whole form as changes of a connection."""
    return {name: getattr(wish, name) for name in ConnectionWish.__dataclass_fields__}


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidError("Write one header a line, as Name: value.", field="headers")
        found.append((name.strip(), value.strip()))
    return tuple(found)


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def _number(field: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise InvalidError("This must be a number.", field=field) from None
    if number != number or abs(number) > 1e6:
        raise InvalidError("This must be a number.", field=field)
    return number
