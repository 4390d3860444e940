"""What a request would do that its decision did not say; and the seed of a run."""

from __future__ import annotations

import os
import random

from agent.policy import Decision, Rule
from tests.unit.policy_oracle.php import Meaning

SEED = int(os.environ.get("POLICY_ORACLE_SEED") or random.SystemRandom().randrange(2**32))
"""A new one for every run; a failure names it, and the environment variable brings it back."""


def fault(rule: Rule, decision: Decision, meaning: Meaning) -> str | None:
    """What the request would do that the decision did not say; None when all is as judged."""
    if meaning.method.decode("latin-1") != decision.method:
        return f"method {meaning.method!r} instead of {decision.method}"
    if decision.method not in rule.methods:
        return f"method {decision.method} is not open"
    return fault_of_place(rule, decision, meaning)


def fault_of_place(rule: Rule, decision: Decision, meaning: Meaning) -> str | None:
    if meaning.resource.decode("latin-1") != decision.resource:
        return f"resource {meaning.resource!r} instead of {decision.resource!r}"
    if decision.resource and rule.resources is not None and decision.resource not in rule.resources:
        return f"resource {decision.resource!r} is not open"
    if meaning.group is not None:
        return f"shop group {meaning.group!r}"
    if (meaning.shop or b"") != rule.store.id_shop.encode():
        return f"shop {meaning.shop!r} instead of {rule.store.id_shop!r}"
    return None
