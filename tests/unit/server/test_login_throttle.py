"""How long logins wait after failures, by source and by name."""

from __future__ import annotations

import pytest

from agent.server.operations.login_throttle import (
    DELAY_MAX_S,
    ENTRIES_MAX,
    FORGET_AFTER_S,
    FREE_FAILURES,
    LoginThrottle,
    source_of,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def failed(throttle: LoginThrottle, times: int, peer: str = "192.0.2.1", name: str = "anne") -> None:
    for _ in range(times):
        throttle.failed(peer, name)


def test_some_mistakes_are_free_and_then_the_wait_doubles_up_to_a_limit() -> None:
    throttle = LoginThrottle(Clock())
    failed(throttle, FREE_FAILURES)
    assert throttle.wait_s("192.0.2.1", "anne") == 0
    waits = []
    for _ in range(12):
        failed(throttle, 1)
        waits.append(throttle.wait_s("192.0.2.1", "anne"))
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == DELAY_MAX_S


def test_the_wait_passes_and_is_forgotten() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    failed(throttle, FREE_FAILURES + 1)
    clock.now += 2
    assert throttle.wait_s("192.0.2.1", "anne") == 0
    clock.now += FORGET_AFTER_S + 1
    failed(throttle, 1)
    assert throttle.wait_s("192.0.2.1", "anne") == 0


def test_a_source_waits_whatever_names_it_tries() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(FREE_FAILURES + 3):
        throttle.failed("192.0.2.1", f"name {number}")
    assert throttle.wait_s("192.0.2.1", "somebody else") > 0
    assert throttle.wait_s("192.0.2.2", "somebody else") == 0


def test_a_name_that_is_attacked_from_everywhere_stays_open_for_its_owner() -> None:
    throttle = LoginThrottle(Clock())
    throttle.succeeded("198.51.100.7", "Anne")
    for number in range(FREE_FAILURES + 5):
        throttle.failed(f"192.0.2.{number}", "anne")
    assert throttle.wait_s("203.0.113.9", "anne") > 0
    assert throttle.wait_s("198.51.100.7", "ANNE") == 0


def test_one_success_does_not_open_the_door_for_guessing() -> None:
    throttle = LoginThrottle(Clock())
    throttle.succeeded("192.0.2.1", "anne")
    failed(throttle, FREE_FAILURES + 4)
    assert throttle.wait_s("192.0.2.1", "anne") > 0


def test_memory_is_bounded() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(ENTRIES_MAX + 50):
        throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", f"n{number}")
    assert repr(throttle) == f"<LoginThrottle sources={ENTRIES_MAX} names={ENTRIES_MAX}>"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_sources(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same
