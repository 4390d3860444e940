"""``If-Match`` (RFC 9110 13.1.1): a change is made only to the version that its asker has seen."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header

IfMatch = Annotated[
    str | None,
    Header(
        max_length=500,
        description="entity tags of ETag (or `version` as it is): 412, and nothing changed, when it has none of them",
    ),
]

_TAG: Final = re.compile(r'(W/)?"([^"]*)"|([^\s,"]+)')


def is_matched(if_match: str, version: str) -> bool:
    """True when ``version`` is among the tags; weak ones never match (8.8.3.2), ``*`` does always."""
    return any(bare in (version, "*") or (tag == version and not weak) for weak, tag, bare in _TAG.findall(if_match))
