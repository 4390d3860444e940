"""May this request go to its store? The policy first, then the gate."""

from __future__ import annotations

from agent.forward.denial import no_such_store, not_open
from agent.forward.target import StoreTarget
from agent.http1 import RequestHead
from agent.policy import judge, sent_content_type


def admit(target: StoreTarget | None, head: RequestHead, path: bytes) -> tuple[StoreTarget, str]:
    """The store, and the effective method of a request that may go there; ``path`` is what will be sent.

    Raises:
        PolicyDenied: no such store, not open, or paused.
        ConnectionBusy: more requests a minute than the settings let through.
    """
    if target is None:
        raise no_such_store()
    decision = judge(target.rule, head.method, path, sent_content_type(head.method, head.get(b"content-type")))
    if not decision.allowed:
        raise not_open(decision, target.rule)
    refuse = target.gate.refuse
    if refuse is not None and (error := refuse()) is not None:
        raise error
    return target, decision.method
