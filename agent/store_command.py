"""The command that opens a store on the machine of its agent, as messages print it. Pure: standard library only."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from typing import Final

from agent.policy import Decision, Denial, Rule
from agent.store_url import Store

LIST_COMMAND: Final = "prestashop-agent stores list"

_RESOURCE: Final = re.compile(r"[a-z0-9_]{1,64}")
_READS: Final = frozenset({"GET", "HEAD"})


def add_command(store: Store | None = None, more: str = "") -> str:
    """``prestashop-agent stores add`` with the store's address, ``URL`` where it is not known, and ``more`` options."""
    url = shlex.quote(str(store)) if store is not None else "URL"
    return f"prestashop-agent stores add {url} {more}".rstrip()


def opening_command(store: Store, methods: Collection[str]) -> str:
    """What opens a store that is not open at all, for ``methods``; for reading nothing need be said."""
    return add_command(store, "" if _READS.issuperset(methods) else "--write")


def methods_option(methods: Collection[str]) -> str:
    """What opens ``methods`` in the fewest words: every one, or reading."""
    return "--methods read" if _READS.issuperset(methods) else "--write"


def widening_command(decision: Decision, rule: Rule) -> str:
    """What would open what ``decision`` refuses under ``rule``; "" when no setting can."""
    if decision.denial is Denial.RESOURCE and _RESOURCE.fullmatch(decision.resource):
        return add_command(rule.store, f"--resource {decision.resource}")
    if decision.denial is not Denial.METHOD or not decision.method:
        return ""
    if decision.method in rule.methods and not decision.resource:
        return ""  # the list of resources can only be read
    return add_command(rule.store, methods_option({decision.method}))
