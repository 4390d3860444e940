"""The ``display`` parameter of the webservice. Pure."""

from __future__ import annotations

import re

from agent.demo.store.faults import WebserviceFault
from agent.demo.store.php import Vars
from agent.demo.store.schema import Resource

_WRAPPED = re.compile(r"^\[(.*)\]$", re.DOTALL)
ALL = frozenset({"*"})


def shown_fields(resource: Resource, params: Vars) -> frozenset[str] | None:
    """Names of the fields to show: None for ids only, ``*`` for everything.

    Raises WebserviceFault 35 (unknown field) and 36 (syntax), which the real store sends as 500.
    """
    asked = params.get("display")
    if not isinstance(asked, str) or asked == "minimum":
        return None
    if asked == "full":
        return ALL
    names = ["id", *(field.name for field in resource.fields)]
    match = _WRAPPED.match(asked)
    if match is None:
        text = "The 'display' syntax is wrong. You can set 'full' or '[field_1,field_2,field_3,...]'."
        raise WebserviceFault(400, (36, f"{text} These are available: {', '.join(names)}"), warned=True)
    prices = params.get("price")
    computed = set(prices) if isinstance(prices, dict) else set()
    associations = {association.name for association in resource.associations}
    shown = set()
    for part in _parts(match[1]):
        name, bracket, _ = part.partition("[")
        name = name.strip()
        known = name in associations if bracket else (name in names or name in computed)
        if not known:
            text = f'Unable to display this field "{name}". However, these are available: {", ".join(names)}'
            raise WebserviceFault(400, (35, text), warned=True)
        shown.add(name)
    return frozenset(shown)


def _parts(text: str) -> list[str]:
    """Split at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [part for part in (*parts, text[start:]) if part]
