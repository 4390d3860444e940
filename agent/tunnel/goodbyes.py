"""What a server's goodbye means to the agent, in words for a person. Pure but for the models of the messages."""

from __future__ import annotations

from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.messages import Bye, Goodbye
from agent.tunnel.text import printable

_GOODBYES = {
    Goodbye.REPLACED: EndReason.REPLACED,
    Goodbye.PLACE_TAKEN: EndReason.PLACE_TAKEN,
    Goodbye.REVOKED: EndReason.REVOKED,
    Goodbye.DISABLED: EndReason.DISABLED,
    Goodbye.PROTOCOL: EndReason.PROTOCOL,
    Goodbye.SHUTDOWN: EndReason.SERVER_LEFT,
}


def ending_of(bye: Bye, server: str, hint_s: float | None) -> Ending:
    """The end of a link whose server said ``bye``; ``hint_s`` is what it asked to wait before, if it did."""
    reason = _GOODBYES.get(bye.goodbye, EndReason.LOST)
    own_hint_s = bye.hint_s if bye.hint_s is not None else hint_s
    return Ending(reason, _sentence(reason, server, printable(bye.reason, 500)), own_hint_s)


def _sentence(reason: EndReason, server: str, said: str) -> str:
    if reason is EndReason.PLACE_TAKEN:
        return (
            f"The server at {server} turns this instance away: {said}. Stop the other one, let both"
            " in (integration-server agents update NAME --max-instances 2), or, if nobody here runs it, revoke the"
            " access token."
        )
    if reason is EndReason.REVOKED:
        return f"The server at {server} has revoked this access token; make a new one there."
    if reason is EndReason.DISABLED:
        return f"This agent is switched off on the server at {server}: an admin can enable it there."
    if reason is EndReason.REPLACED:
        return "Another tunnel with the same identity took this one's place (a copy of the state directory?)."
    return f"The server at {server} said goodbye: {said.rstrip('.')}."
