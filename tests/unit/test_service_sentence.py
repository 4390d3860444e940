"""The line of ``systemctl status``, state by state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.service_sentence import service_sentence
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.state import State
from agent.tunnel.tunnel_status import TunnelStatus

NEW = TunnelStatus(
    index=0,
    state=State.IDLE,
    server="tunnel.example.com:2222",
    since_s=0.0,
    attempts=0,
    down_s=0.0,
    last_ending=None,
    last_ending_age_s=None,
    server_version="",
    round_trip_s=None,
    last_answer_age_s=None,
    open_channels=0,
    next_attempt_in_s=None,
    acceleration=None,
)
UP = replace(NEW, state=State.READY)
LOST = replace(
    NEW, state=State.WAITING, last_ending=Ending(EndReason.UNREACHABLE, "a sentence"), next_attempt_in_s=12.4
)
REFUSED = replace(NEW, state=State.SLOW, last_ending=Ending(EndReason.TOKEN_REFUSED, ""), next_attempt_in_s=58.0)


@pytest.mark.parametrize(
    ("tunnels", "in_flight", "sentence"),
    [
        ((NEW, NEW), 0, "connecting to tunnel.example.com:2222"),
        ((UP, UP), 3, "2 of 2 tunnels up to tunnel.example.com:2222, 3 exchanges in flight"),
        ((UP, LOST), 1, "1 of 2 tunnels up to tunnel.example.com:2222, 1 exchange in flight"),
        (
            (UP, replace(UP, server="b.example.com:443")),
            0,
            "2 of 2 tunnels up to tunnel.example.com:2222 and b.example.com:443, 0 exchanges in flight",
        ),
        ((REFUSED, LOST), 0, "waiting for the server: unreachable, next attempt in 12 s"),
        ((REFUSED, REFUSED), 0, "waiting for a person: token_refused, next attempt in 58 s"),
        (
            (replace(LOST, state=State.CONNECTING, next_attempt_in_s=None), LOST),
            0,
            "waiting for the server: unreachable, trying tunnel.example.com:2222",
        ),
    ],
)
def test_it_says_what_is_up_or_what_it_waits_for(
    tunnels: tuple[TunnelStatus, ...], in_flight: int, sentence: str
) -> None:
    assert service_sentence(tunnels, in_flight, is_stopping=False) == sentence


def test_the_end_has_its_own() -> None:
    assert service_sentence((UP,), 2, is_stopping=True) == "draining, 2 in flight"
