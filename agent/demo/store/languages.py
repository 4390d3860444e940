"""The ``language`` parameter of the webservice. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.demo.store.faults import WebserviceFault
from agent.demo.store.php import Vars

_NOT_AVAILABLE = (81, "language is not available")


def chosen_languages(params: Vars, known: Sequence[str]) -> list[str]:
    """Ids of the languages to show: ``language=1``, ``[1|2]`` or ``[1,2]``; all when it is not given.

    Raises WebserviceFault 78-81 as the real store does, 81 also together with the others.
    """
    asked = params.get("language")
    if not isinstance(asked, str):
        return list(known)
    found = [one for one in _listed(asked) if one in known]
    if not found:
        raise WebserviceFault(400, _NOT_AVAILABLE)
    return found


def _listed(asked: str) -> list[str]:
    if asked.isdecimal():
        return [str(int(asked))]
    if not (asked.startswith("[") and asked.endswith("]")):
        raise WebserviceFault(400, (79, "language value is wrong"), _NOT_AVAILABLE)
    inner = asked[1:-1]
    parts = [part.strip() for part in inner.replace(",", "|").split("|")]
    if "," in inner and len(parts) != 2:
        raise WebserviceFault(400, (78, "A range value for a language must contains only 2 values"), _NOT_AVAILABLE)
    if not all(part.isdecimal() for part in parts):
        raise WebserviceFault(400, (80, "Language ID must be numeric"), _NOT_AVAILABLE)
    if "," in inner:
        return [str(number) for number in range(int(parts[0]), min(int(parts[1]), 999) + 1)]
    return [str(int(part)) for part in parts]
