"""Where log lines go: in batches or at once, in their order, and nothing is left behind."""

from __future__ import annotations

import asyncio
import io
import json

from agent.log_lines import BATCH_EVERY_S, BATCH_MAX_CHARS, LogLines


class Counted(io.StringIO):
    """A stream that counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written_twice = asyncio.Event()

    def write(self, text: str) -> int:
        self.writes += 1
        if self.writes == 2:
            self.written_twice.set()
        return super().write(text)

    @property
    def events(self) -> list[str]:
        """The events of the lines, or the lines where they are none."""
        lines = self.getvalue().splitlines()
        return [json.loads(line)["event"] if line.startswith("{") else line for line in lines]


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


def made(out: io.StringIO) -> tuple[LogLines, Clock]:
    clock = Clock()
    return LogLines(out, clock, clock), clock


def say(lines: LogLines, *events: object) -> None:
    for event in events:
        lines.soon(f'"event": "{event}"')


def test_a_line_that_follows_no_other_is_written_at_once() -> None:
    async def run() -> None:
        out = Counted()
        lines, clock = made(out)
        for number in range(3):
            say(lines, number)
            assert len(out.events) == number + 1
            clock.now += BATCH_EVERY_S
        assert json.loads(out.getvalue().splitlines()[0]) == {
            "time": "2027-01-15T08:00:00.250000Z", "level": "info", "event": "0",
        }  # fmt: skip

    asyncio.run(run())


def test_those_that_follow_are_written_together_when_their_time_has_come() -> None:
    async def run() -> None:
        out = Counted()
        lines, _ = made(out)
        say(lines, *range(300))
        assert out.events == ["0"]
        async with asyncio.timeout(10):
            await out.written_twice.wait()
        assert out.events == [str(number) for number in range(300)]

    asyncio.run(run())


def test_any_other_line_comes_behind_those_that_wait() -> None:
    async def run() -> None:
        out = Counted()
        lines, _ = made(out)
        say(lines, 1, 2, 3)
        lines.msg("tunnel.closed")
        say(lines, 4)
        assert out.events == ["1", "2", "3", "tunnel.closed"]
        lines.flush()
        assert out.events == ["1", "2", "3", "tunnel.closed", "4"]
        lines.flush()
        assert out.writes == 3

    asyncio.run(run())


def test_what_waits_is_bounded() -> None:
    async def run() -> None:
        out = Counted()
        lines, _ = made(out)
        long = "x" * (BATCH_MAX_CHARS // 8)
        for number in range(24):
            say(lines, long)
            assert number - len(out.events) < 8

    asyncio.run(run())


def test_without_a_loop_nothing_waits() -> None:
    out = Counted()
    lines, _ = made(out)
    say(lines, 1, 2)
    assert out.events == ["1", "2"]


def test_a_loop_that_ended_takes_no_later_line_with_it() -> None:
    out = Counted()
    lines, clock = made(out)

    async def run() -> None:
        say(lines, 1, 2)

    asyncio.run(run())
    assert out.events == ["1"]
    clock.now += BATCH_EVERY_S * 2
    say(lines, 3)
    assert out.events == ["1", "2", "3"]


def test_a_closed_stream_is_no_error() -> None:
    out = io.StringIO()
    lines, _ = made(out)
    out.close()
    say(lines, 1)
    lines.msg("2")
