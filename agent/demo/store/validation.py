"""PrestaShop's validators of field values, by the names that the synopsis shows. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.demo.store.database import Record
from agent.demo.store.schema import Field, Resource


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.search(text) is not None


def _not_matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.search(text) is None


_SCRIPT = r"(?i)<\s*(script|iframe|form|input|embed|object)|on(click|load|error|mouse\w+)\s*=|script:"

VALIDATORS: dict[str, Callable[[str], bool]] = {
    "isunsignedid": _matches(r"^\d{1,10}$"),
    "isnullorunsignedid": _matches(r"^\d{1,10}$"),
    "isunsignedint": _matches(r"^\d{1,10}$"),
    "ispositiveint": _matches(r"^\d{1,10}$"),
    "isint": _matches(r"^-?\d{1,10}$"),
    "isbool": _matches(r"^[01]$"),
    "isprice": _matches(r"^[0-9]{1,10}(\.[0-9]{1,9})?$"),
    "isnegativeprice": _matches(r"^-?[0-9]{1,10}(\.[0-9]{1,9})?$"),
    "isunsignedfloat": _matches(r"^[0-9]*\.?[0-9]+$"),
    "isfloat": _matches(r"^-?[0-9]*\.?[0-9]+$"),
    "isgenericname": _not_matches(r"[<>={}]"),
    "iscatalogname": _not_matches(r"[<>;=#{}]"),
    "isname": _not_matches(r"[0-9!<>,;?=+()@#\"°{}_$%:¤|]"),
    "iscustomername": _not_matches(r"[0-9!<>,;?=+()@#\"°{}_$%:¤|]|\. |\.$|www|https?:"),
    "isemail": _matches(r"^[^@\s]+@[^@\s]+\.[^@\s]+$"),
    "isreference": _not_matches(r"[<>;={}]"),
    "islinkrewrite": _matches(r"^[_a-zA-Z0-9\-\u0080-\uffff]*$"),
    "iscleanhtml": _not_matches(_SCRIPT),
    "ismessage": _not_matches(r"[<>{}]"),
    "isaddress": _not_matches(r"[!<>?=+@{}_$%]"),
    "iscityname": _not_matches(r"[!<>;?=+@#\"°{}_$%]"),
    "ispostcode": _matches(r"^[a-zA-Z 0-9\-]*$"),
    "isphonenumber": _matches(r"^[+0-9. ()/-]*$"),
    "isdate": _matches(r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?$"),
    "isdateformat": _matches(r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?$"),
    "isdateornull": _matches(r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?$"),
    "isbirthdate": _matches(r"^\d{4}-\d{2}-\d{2}$"),
    "isean13": _matches(r"^[0-9]{0,13}$"),
    "isisbn": _matches(r"^[0-9\-]{0,32}$"),
    "isupc": _matches(r"^[0-9]{0,12}$"),
    "ismd5": _matches(r"^[a-f0-9A-F]{32}$|^x+$"),
    "isproductvisibility": _matches(r"^(both|catalog|search|none)$"),
    "isdnilite": _matches(r"^[0-9A-Za-z\-.]{1,16}$"),
    "isurl": _not_matches(r"[<>\s\"]"),
    "isape": _matches(r"^[0-9]{3,4}[a-zA-Z]$"),
}
"""Formats without an entry here are not checked."""


def invalid_text(resource: Resource, record: Record) -> str | None:
    """The first translated field with a wrong value, as PrestaShop names it (code 84)."""
    for field in resource.fields:
        value = record.get(field.name)
        if field.translated and isinstance(value, dict) and not all(_valid(field, text) for text in value.values()):
            return f"Property {resource.class_name}-&gt;{field.name} is not valid"
    return None


def invalid_field(resource: Resource, record: Record) -> str | None:
    """The first other field with a wrong or missing value (code 85)."""
    for field in resource.fields:
        if field.translated or field.computed:
            continue
        value = record.get(field.name)
        if field.required and value in (None, ""):
            return f"Property {resource.class_name}-&gt;{field.name} is empty."
        if value not in (None, "") and not _valid(field, str(value)):
            return f"Property {resource.class_name}-&gt;{field.name} is not valid"
    return None


def _valid(field: Field, text: str) -> bool:
    if field.max_size is not None and len(text) > field.max_size:
        return False
    check = VALIDATORS.get((field.format or "").lower())
    return text == "" or check is None or check(text)
