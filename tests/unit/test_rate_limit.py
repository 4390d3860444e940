"""Requests a minute: the bucket, the gate that asks it, and what the log says of it."""

from __future__ import annotations

import pytest

from agent.errors import ConnectionBusy, ExchangeError, PolicyDenied
from agent.forward.gate import StoreGate
from agent.limit_log import LimitLog
from agent.pause import Pause
from agent.rate_limit import TokenBucket


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (6, 1), (60, 10), (600, 100)])
def test_a_burst_and_then_the_rate(per_minute: int, burst: int) -> None:
    clock = Clock()
    bucket = TokenBucket(per_minute, clock)
    passed = 0
    while bucket.take() == 0.0:
        passed += 1
    assert passed == burst
    wait_s = bucket.take()
    assert wait_s == pytest.approx(60 / per_minute)
    clock.now += wait_s * 1.001
    assert (bucket.take(), bucket.take() > 0) == (0.0, True)
    clock.now += 3600
    assert sum(bucket.take() == 0.0 for _ in range(burst * 2)) == burst, "rest is not saved up"


def test_a_clock_that_goes_back_gives_nothing() -> None:
    clock = Clock()
    bucket = TokenBucket(1, clock)
    assert bucket.take() == 0.0
    clock.now -= 500
    assert bucket.take() > 0


def asked(gate: StoreGate) -> ExchangeError | None:
    return gate.refuse() if gate.refuse is not None else None


def test_the_gate_is_nothing_to_ask_until_it_can_refuse() -> None:
    clock, noted = Clock(), list[int]()
    gate = StoreGate(lambda: noted.append(1))
    bare = [gate.refuse]
    gate.limit(2, clock)
    assert asked(gate) is None
    error = asked(gate)
    assert isinstance(error, ConnectionBusy)
    assert (error.name, error.retry_after) == ("connection_busy", 30)
    assert "2 requests a minute" in error.message
    assert "concurrency" not in error.message, "the remedy is the agent's own setting"
    gate.limit(2, clock)
    assert asked(gate) is not None, "a reload gives no new burst"
    gate.limit(3, clock)
    assert asked(gate) is None
    gate.set_pause(Pause(0.0))
    assert isinstance(asked(gate), PolicyDenied)
    assert (gate.limited_count, noted) == (2, [1, 1])
    gate.set_pause(None)
    gate.limit(None, clock)
    assert [*bare, gate.refuse] == [None, None]


async def test_the_log_has_one_line_and_then_one_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, object]] = []

    class Log:
        def warning(self, event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

    monkeypatch.setattr("agent.limit_log._log", Log())
    log = LimitLog()
    note = log.of("shop")
    for _ in range(5):
        note()
    assert [line.get("requests") for line in lines] == [None]
    log._sum_up("shop")
    log._sum_up("shop")
    assert [line.get("requests") for line in lines] == [None, 4]
    note()
    assert len(lines) == 3, "the first after a quiet minute is said at once"
    log.close()
