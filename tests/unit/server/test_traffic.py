"""The last exchanges and the numbers of the last hour: bounded, redacted, and right whatever the clock does."""

from __future__ import annotations

import dataclasses

import pytest

from agent.redact import loggable_target
from agent.server.gateway_context import GatewayRecord
from agent.server.traffic import KEPT_MAX, MINUTES_MAX, Traffic

NOON = 1_800_000_000.0  # the begin of a minute
MINUTE = 60.0


class Clock:
    """Unix time that the test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traffic(clock: Clock) -> Traffic:
    return Traffic(clock)


def record(**changes: object) -> GatewayRecord:
    """A read that the store answered after 100 ms: 10 waited, 30 in the tunnel, 50 in the store, 10 to its end."""
    made = GatewayRecord(
        request_id="0123456789abcdef",
        connection="lyon",
        key_id="key-1",
        method="GET",
        target="/lyon/api/products",
        status=200,
        answered_by="store",
        error="",
        elapsed_s=0.1,
        bytes_up=10,
        bytes_down=20,
        waited_s=0.01,
        first_byte_s=0.09,
        tunnel_s=0.03,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # any of its fields


def refused(error: str = "client_key_invalid", status: int = 401) -> GatewayRecord:
    """What the gateway notes of a request that never became an exchange."""
    return record(
        connection="", key_id="", status=status, answered_by="gateway", error=error, elapsed_s=0.0,
        waited_s=None, first_byte_s=None, tunnel_s=None,
    )  # fmt: skip


def test_an_entry_says_when_who_what_and_how_long(traffic: Traffic) -> None:
    traffic.note(record())
    (entry,) = traffic.last()
    assert (entry.number, entry.at, entry.connection, entry.key_id) == (1, NOON, "lyon", "key-1")
    assert (entry.method, entry.target, entry.status) == ("GET", "/lyon/api/products", 200)
    assert (entry.total_ms, entry.waited_ms, entry.tunnel_ms, entry.store_ms) == (100.0, 10.0, 30.0, 50.0)
    assert (entry.bytes_up, entry.bytes_down) == (10, 20)


def test_the_shares_are_unknown_where_nobody_measured_and_never_negative(traffic: Traffic) -> None:
    traffic.note(record(tunnel_s=None))  # stock ssh
    traffic.note(record(tunnel_s=5.0))  # the line was slow when it was measured, and is fast now
    traffic.note(record(first_byte_s=None))
    assert [entry.store_ms for entry in traffic.last()] == [None, 0.0, None]
    traffic.note(refused())
    newest = traffic.last(1)[0]
    assert (newest.waited_ms, newest.tunnel_ms, newest.store_ms) == (None, None, None)


def test_memory_is_bounded_whatever_comes(traffic: Traffic, clock: Clock) -> None:
    for number in range(3 * KEPT_MAX):
        traffic.note(record(target=loggable_target(b"/" + b"x" * 8000), request_id=f"{number}"))
        clock.now += MINUTE
    assert [entry.request_id for entry in traffic.last(1000)] == [f"{n}" for n in range(599, 399, -1)]
    assert max(len(entry.target) for entry in traffic.last()) <= 303
    assert len(traffic._buckets) <= MINUTES_MAX
    assert (traffic.total, len(traffic._used)) == (600, 1)


def test_the_newest_come_first_and_can_be_narrowed(traffic: Traffic) -> None:
    traffic.note(record(request_id="a"))
    traffic.note(record(request_id="b", connection="nice"))
    traffic.note(record(request_id="c", connection="nice", status=500))
    traffic.note(refused())

    def ids(found: list[object]) -> list[str]:
        return [entry.request_id for entry in found]  # type: ignore[attr-defined]  # entries

    assert ids([*traffic.last(connection="nice")]) == ["c", "b"]
    assert ids([*traffic.last(connection="nice", errors_only=True)]) == ["c"]
    assert ids([*traffic.last(1)]) == ["0123456789abcdef"]
    assert traffic.last(0) == []
    assert traffic.last(connection="lyon", errors_only=True) == []


def test_what_was_handed_out_does_not_change(traffic: Traffic) -> None:
    traffic.note(record())
    before, minutes = traffic.last(), traffic.minutes()
    traffic.note(record(status=500))
    assert (len(before), minutes[-1].requests) == (1, 1)
    with pytest.raises(AttributeError):
        before[0].status = 0  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("one", "failed"),
    [
        (record(), False),
        (record(status=404), False),  # the store's word, and no failure of anybody
        (record(status=500), True),
        (record(status=502, answered_by="agent", error="store_unreachable"), True),
        (record(status=200, error="tunnel_lost"), True),  # cut short after the head
        (record(status=0, answered_by="nobody", error="client_gone"), True),
        (refused(), True),
    ],
)
def test_what_counts_as_an_error(traffic: Traffic, one: GatewayRecord, failed: bool) -> None:
    traffic.note(one)
    assert (one.failed, traffic.errors) == (failed, failed)
    assert traffic.minutes()[-1].errors == traffic.lately().errors == failed


def test_the_hour_has_sixty_minutes_the_empty_ones_too(traffic: Traffic, clock: Clock) -> None:
    traffic.note(record())
    clock.now += 2 * MINUTE + 59
    traffic.note(record(status=500))
    minutes = traffic.minutes()
    assert len(minutes) == MINUTES_MAX
    assert [(minute.requests, minute.errors) for minute in minutes[-3:]] == [(1, 0), (0, 0), (1, 1)]
    assert [minute.began_at for minute in minutes[-3:]] == [NOON, NOON + MINUTE, NOON + 2 * MINUTE]
    assert (minutes[-2].tunnel_ms, minutes[-2].store_ms) == (None, None)


def test_an_hour_later_nothing_is_left_of_the_numbers(traffic: Traffic, clock: Clock) -> None:
    traffic.note(record())
    clock.now += (MINUTES_MAX - 1) * MINUTE
    assert traffic.minutes()[0].requests == 1
    clock.now += MINUTE
    assert not any(minute.requests for minute in traffic.minutes())
    assert (traffic.lately().requests, traffic.lately().tunnel_ms) == (0, None)
    assert traffic.total == 1


def test_the_last_minutes_are_added_up(traffic: Traffic, clock: Clock) -> None:
    for _ in range(7):
        traffic.note(record())
        clock.now += MINUTE
    clock.now -= MINUTE
    assert traffic.lately(5).requests == 5
    assert traffic.lately(1).requests == 1
    assert traffic.lately(5).began_at == NOON + 2 * MINUTE


@pytest.mark.parametrize(
    ("tunnel_ms", "shown"), [(0.2, (0, 1)), (1, (0, 1)), (30, (20, 35)), (35.1, (35, 50)), (99_000, (30_000, 60_000))]
)
def test_a_median_lies_within_the_step_of_its_value(
    traffic: Traffic, tunnel_ms: float, shown: tuple[float, float]
) -> None:
    for _ in range(5):
        traffic.note(record(tunnel_s=tunnel_ms / 1000))
    median = traffic.lately().tunnel_ms
    assert median is not None
    assert shown[0] <= median <= shown[1]


def test_a_few_slow_ones_do_not_move_the_median(traffic: Traffic) -> None:
    for number in range(100):
        traffic.note(record(tunnel_s=0.03 if number % 10 else 20.0))
    median = traffic.lately().tunnel_ms
    assert median is not None
    assert 20 <= median <= 35


def test_mode_cloud_has_no_tunnel_and_its_median_says_so(traffic: Traffic) -> None:
    for _ in range(5):
        traffic.note(record(tunnel_s=0.0))
    assert traffic.lately().tunnel_ms == 0.0


@pytest.mark.parametrize("back_s", [MINUTE, 30 * MINUTE, 365 * 86400.0])
def test_a_clock_that_is_put_back_hides_nothing_that_comes(traffic: Traffic, clock: Clock, back_s: float) -> None:
    """A host starts with a clock that is a year ahead, and is then told the time."""
    clock.now += back_s
    traffic.note(record())
    clock.now = NOON
    traffic.note(record(status=500))
    assert (traffic.minutes()[-1].requests, traffic.lately().requests) == (2, 2)
    clock.now += MINUTE
    traffic.note(record())
    assert [minute.requests for minute in traffic.minutes()[-2:]] == [2, 1]
    assert traffic.lately().requests == 3


def test_numbers_ahead_of_the_clock_are_in_no_sum(traffic: Traffic, clock: Clock) -> None:
    clock.now += 10 * MINUTE
    traffic.note(record())
    clock.now = NOON
    assert sum(minute.requests for minute in traffic.minutes()) == traffic.lately().requests == 0


def test_a_used_key_is_told_once_with_its_last_use(traffic: Traffic, clock: Clock) -> None:
    traffic.note(record())
    clock.now += 5
    traffic.note(record())
    traffic.note(record(key_id="key-2", status=403, error="scope_denied"))
    traffic.note(refused())
    assert traffic.take_used_keys() == {"key-1": NOON + 5, "key-2": NOON + 5}
    assert traffic.take_used_keys() == {}


def test_its_repr_shows_numbers_only(traffic: Traffic) -> None:
    traffic.note(record(target="/lyon/api/orders"))
    assert repr(traffic) == "<Traffic total=1 kept=1>"
