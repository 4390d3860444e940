"""Lists of HTTP methods and of webservice resources, as people give them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from agent.policy import METHODS
from agent.server.operations.failures import InvalidError

READ_METHODS: Final = ("GET", "HEAD")

_RESOURCE: Final = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


def clean_methods(methods: Collection[str]) -> list[str]:
    """The methods in upper case and fixed order. Raises InvalidError for none, or one PrestaShop does not have."""
    given = {method.strip().upper() for method in methods}
    unknown = sorted(given - set(METHODS))
    if unknown or not given:
        wrong = f'"{unknown[0]}" is not one of them' if unknown else "none was given"
        raise InvalidError(f"Methods are {', '.join(METHODS)}; {wrong}.", field="methods")
    return [method for method in METHODS if method in given]


def clean_resources(resources: Collection[str]) -> list[str]:
    """The resources, sorted. Raises InvalidError when one cannot be a PrestaShop resource."""
    given = sorted({resource.strip() for resource in resources})
    wrong = [resource for resource in given if not _RESOURCE.fullmatch(resource)]
    if wrong or not given:
        raise InvalidError(
            "Resources are named as in the webservice, such as products or stock_availables"
            + (f'; "{wrong[0][:64]}" is not.' if wrong else "; none was given."),
            field="resources",
        )
    return given
