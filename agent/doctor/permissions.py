"""What a key may do, from PrestaShop's list of resources. Pure: bytes in, no XML library and so no entities."""

from __future__ import annotations

import re
from typing import Final

from agent.policy import METHODS

RESOURCES_MAX: Final = 300

_ELEMENT: Final = re.compile(rb"<([a-z][a-z0-9_]{0,63})(\s[^<>]*)>")
_ATTRIBUTE: Final = re.compile(rb"\b(get|head|post|put|patch|delete)=\"(true|false)\"")
_NOT_RESOURCES: Final = frozenset({b"description", b"schema"})  # they repeat the attributes of their resource


def read_permissions(listing: bytes) -> dict[str, tuple[str, ...]]:
    """Resource -> methods that are open to the key; resources without any are there, too.

    Shops before 8.0 have no ``patch``. A listing that breaks off gives what came.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, attributes in _ELEMENT.findall(listing):
        if name in _NOT_RESOURCES or len(found) >= RESOURCES_MAX:
            continue
        said = {attribute.decode().upper(): value == b"true" for attribute, value in _ATTRIBUTE.findall(attributes)}
        if "GET" in said:
            found.setdefault(name.decode(), tuple(method for method in METHODS if said.get(method)))
    return found
