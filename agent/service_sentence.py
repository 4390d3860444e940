"""What ``systemctl status`` says of the agent in one line. Pure: from the state of the tunnels to words, no secret."""

from __future__ import annotations

from collections.abc import Sequence

from agent.tunnel.state import State
from agent.tunnel.tunnel_status import TunnelStatus

_ATTEMPTS = frozenset({State.CONNECTING, State.AUTHENTICATING})


def service_sentence(tunnels: Sequence[TunnelStatus], in_flight: int, *, is_stopping: bool) -> str:
    """``2 of 2 tunnels up to tunnel.example.com:2222, 3 exchanges in flight``, or what it waits for."""
    if is_stopping:
        return f"draining, {in_flight} in flight"
    up = [tunnel for tunnel in tunnels if tunnel.state in {State.READY, State.DRAINING}]
    if up:
        servers = " and ".join(dict.fromkeys(tunnel.server for tunnel in up))
        return f"{len(up)} of {len(tunnels)} tunnels up to {servers}, {_exchanges(in_flight)} in flight"
    # The one that is tried next, or that is being tried.
    nearest = min(tunnels, key=lambda tunnel: tunnel.next_attempt_in_s or 0.0)
    ending = nearest.last_ending
    if ending is None:
        return f"connecting to {nearest.server}"
    waits_for = "a person" if ending.reason.needs_a_person else "the server"
    said = f"waiting for {waits_for}: {ending.reason.value}"
    if nearest.state in _ATTEMPTS or nearest.next_attempt_in_s is None:
        return f"{said}, trying {nearest.server}"
    return f"{said}, next attempt in {nearest.next_attempt_in_s:.0f} s"


def _exchanges(count: int) -> str:
    return f"{count} exchange{'' if count == 1 else 's'}"
