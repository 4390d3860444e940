"""Delivery on both databases, with a clock of the test's own: order, waits, restarts, targets that are switched off."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from agent.server.db.tables import AUDIT
from agent.server.db.watch_tables import NOTICE_DELIVERIES, NOTICE_TARGETS
from agent.server.notice_delivery import GIVEN_UP_AFTER_S, JITTER, WAITS_S, NoticeDelivery, wait_s
from agent.server.operations import notice_targets as targets
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage, Verdict
from agent.server.operations.notice_queue import note_delivered
from agent.server.operations.notice_targets import TargetWish
from agent.server.operations.notices import give_notice
from agent.server.operations.principal import Principal, Role
from tests.kit.control_plane import ControlApi
from tests.kit.until import until

ADMIN = Principal("person:anne", Role.ADMIN)
NOW = 1_700_000_000.0
MIDDLE = 0.5  # of the jitter
REFUSED = NotDeliveredError("https://a.example answered 400: it does not take this notice.", Verdict.REFUSED)
GONE = NotDeliveredError("https://a.example answered 410: it wants no more notices.", Verdict.GONE)
DOWN = NotDeliveredError("a.example:443 refused the connection.")


class ScriptedSender:
    """Notes what is sent; fails as the script for the address says, then succeeds. ``held`` addresses never answer."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []  # address, sentence, key
        self.script: dict[str, deque[Exception]] = {}
        self.held: set[str] = set()
        self.cancelled: list[str] = []

    async def __call__(self, destination: Destination, message: NoticeMessage) -> None:
        self.sent.append((destination.address, message.sentence, message.key))
        if destination.address in self.held:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(destination.address)
                raise
        if script := self.script.get(destination.address):
            raise script.popleft()

    def sentences(self, address: str) -> list[str]:
        """What was sent there, attempts included."""
        return [sentence for to, sentence, _ in self.sent if to == address]


class Bench:
    """A server with a clock that stands still until it is moved."""

    def __init__(self, api: ControlApi) -> None:
        self.plane = api.plane
        self.api = api
        self.now = NOW
        self.plane.clock = lambda: self.now
        self.plane.facts = replace(self.plane.facts, can_mail=True)
        self.sender = ScriptedSender()

    async def target(self, name: str) -> str:
        """An e-mail target; its address."""
        await targets.create_target(self.plane, ADMIN, TargetWish(name, "email", f"{name}@example.com"))
        return f"{name}@example.com"

    async def notice(self, sentence: str) -> None:
        await give_notice(self.plane, "agent.offline", "agent/1", sentence, name="warehouse")

    def move(self, seconds: float) -> None:
        """Time passes, and the loop looks again."""
        self.now += seconds
        self.plane.deliveries_due.set()

    @contextlib.asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """A server that runs."""
        task = asyncio.create_task(NoticeDelivery(self.plane, self.sender, uniform=lambda: MIDDLE).run())
        try:
            yield
        finally:
            async with asyncio.timeout(1):  # that long a leaving server may take for it
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def rows(self) -> list[Any]:
        """Deliveries in order."""
        async with self.plane.read() as connection:
            query = select(NOTICE_DELIVERIES).order_by(NOTICE_DELIVERIES.c.notice_id)
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def until_rows(self, condition: Callable[[list[Any]], bool]) -> list[Any]:
        """The rows, once they are as they should be."""
        async with asyncio.timeout(10):
            while not condition(rows := await self.rows()):  # noqa: ASYNC110 - a row has no event
                await asyncio.sleep(0.005)
        return rows

    async def attempted(self, at: int, attempts: int) -> list[Any]:
        """The rows, once so many attempts of the one ``at`` this place are noted."""
        return await self.until_rows(lambda rows: len(rows) > at and rows[at]["attempts"] == attempts)


@pytest.fixture
async def bench(api: ControlApi) -> Bench:
    return Bench(api)


async def test_what_waited_and_what_comes_is_delivered_in_order(bench: Bench) -> None:
    address = await bench.target("ops")
    await bench.notice("one")
    await bench.notice("two")
    async with bench.delivering():
        await until(lambda: len(bench.sender.sent) == 2)
        await bench.notice("three")
        await bench.until_rows(lambda rows: len(rows) == 3 and all(row["delivered_at"] for row in rows))
    assert bench.sender.sentences(address) == ["one", "two", "three"]
    assert {(row["attempts"], row["next_at"], row["error"]) for row in await bench.rows()} == {(1, None, None)}
    shown = await targets.get_target(bench.plane, "ops")
    assert (shown.delivered_at, shown.error, shown.waiting) == (NOW, None, 0)
    keys = [key for _, _, key in bench.sender.sent]
    assert keys[0].startswith("notice_1_")
    assert len(set(keys)) == 3


async def test_a_failure_is_tried_again_later_and_holds_up_only_its_own_target(bench: Bench) -> None:
    down, good = await bench.target("down"), await bench.target("good")
    bench.sender.script[down] = deque([DOWN, DOWN])
    await bench.notice("one")
    await bench.notice("two")
    async with bench.delivering():
        rows = await bench.until_rows(lambda rows: sum(row["attempts"] for row in rows) == 3)
        assert bench.sender.sentences(good) == ["one", "two"]
        assert bench.sender.sentences(down) == ["one"]
        failed = next(row for row in rows if row["error"])
        assert (failed["error"], failed["next_at"]) == (str(DOWN), NOW + WAITS_S[0])
        shown = await targets.get_target(bench.plane, "down")
        assert (shown.error, shown.waiting, shown.delivered_at) == (str(DOWN), 2, None)
        bench.move(WAITS_S[0] - 1)
        await bench.notice("three")
        await until(lambda: len(bench.sender.sentences(good)) == 3)
        assert bench.sender.sentences(down) == ["one"]  # neither before its time, nor out of order
        bench.move(1)
        await bench.until_rows(lambda rows: any(row["attempts"] == 2 for row in rows))
        bench.move(WAITS_S[1])
        await bench.until_rows(lambda rows: all(row["delivered_at"] for row in rows))
    assert bench.sender.sentences(down) == ["one", "one", "one", "two", "three"]
    assert len({key for to, sentence, key in bench.sender.sent if (to, sentence) == (down, "one")}) == 1


async def test_a_slow_target_delays_no_other_and_is_left_at_once(bench: Bench) -> None:
    slow, good = await bench.target("slow"), await bench.target("good")
    bench.sender.held.add(slow)
    await bench.notice("one")
    async with bench.delivering():
        await until(lambda: len(bench.sender.sent) == 2)
        await bench.notice("two")
        await until(lambda: bench.sender.sentences(good) == ["one", "two"])
        assert bench.sender.sentences(slow) == ["one"]  # one at a time
    assert bench.sender.cancelled == [slow]  # and the server has left within a second


@pytest.mark.parametrize("how", ["disabled", "deleted", "changed"])
async def test_a_target_that_is_changed_is_left_at_once(bench: Bench, how: str) -> None:
    slow = await bench.target("slow")
    bench.sender.held.add(slow)
    await bench.notice("one")
    await bench.notice("two")
    async with bench.delivering():
        await until(lambda: len(bench.sender.sent) == 1)
        bench.now += 1
        if how == "disabled":
            await targets.change_target(bench.plane, ADMIN, "slow", {"enabled": False})
        elif how == "deleted":
            await targets.delete_target(bench.plane, ADMIN, "slow")
        else:
            await targets.change_target(bench.plane, ADMIN, "slow", {"address": "new@example.com"})
            await bench.until_rows(lambda rows: all(row["delivered_at"] for row in rows))
        await until(lambda: bench.sender.cancelled == [slow])
    assert bench.sender.sentences(slow) == ["one"]
    assert bench.sender.sentences("new@example.com") == (["one", "two"] if how == "changed" else [])
    assert {row["error"] for row in await bench.rows()} == {
        "disabled": {"Not sent: the target was switched off."},
        "deleted": set(),
        "changed": {None},
    }[how]


async def test_a_server_that_is_started_again_goes_on_where_it_was(bench: Bench) -> None:
    address = await bench.target("ops")
    bench.sender.script[address] = deque([DOWN] * 3)
    await bench.notice("one")
    async with bench.delivering():
        await bench.attempted(0, 1)
    bench.now += WAITS_S[0]
    async with bench.delivering():
        rows = await bench.attempted(0, 2)
    assert rows[0]["next_at"] == bench.now + WAITS_S[1]  # the second wait, not the first one again


async def test_the_next_notice_of_a_dead_target_does_not_begin_anew(bench: Bench) -> None:
    address = await bench.target("ops")
    bench.sender.script[address] = deque([DOWN, DOWN, REFUSED, DOWN])
    await bench.notice("one")
    await bench.notice("two")
    async with bench.delivering():
        for attempts, after_s in enumerate((0.0, *WAITS_S[:2]), 1):
            bench.move(after_s)
            await bench.attempted(0, attempts)
        rows = await bench.attempted(1, 1)
    first, second = rows
    assert (first["next_at"], first["delivered_at"], first["error"]) == (None, None, str(REFUSED))
    assert second["next_at"] == bench.now + WAITS_S[2]


async def test_after_a_day_it_is_given_up(bench: Bench) -> None:
    address = await bench.target("ops")
    bench.sender.script[address] = deque([DOWN])
    await bench.notice("one")
    async with bench.delivering():
        await bench.attempted(0, 1)
        bench.move(GIVEN_UP_AFTER_S + 1)
        await bench.notice("two")
        rows = await bench.until_rows(lambda rows: rows[-1]["delivered_at"] is not None)
    assert bench.sender.sentences(address) == ["one", "two"]
    assert (rows[0]["attempts"], rows[0]["next_at"], rows[0]["delivered_at"]) == (1, None, None)
    assert rows[0]["error"] == f"Given up: it was not delivered within 24 h. The last attempt: {DOWN}"
    _, (_, shown) = await bench.api.call("GET", "notices")
    assert shown["deliveries"][0]["state"] == "given up"


async def test_a_receiver_that_is_gone_switches_its_target_off(bench: Bench) -> None:
    address = await bench.target("ops")
    bench.sender.script[address] = deque([GONE])
    await bench.notice("one")
    await bench.notice("two")
    async with bench.delivering():
        await bench.until_rows(lambda rows: all(row["next_at"] is None for row in rows))
    shown = await targets.get_target(bench.plane, "ops")
    assert (shown.enabled, shown.error, shown.waiting) == (False, str(GONE), 0)
    assert bench.sender.sentences(address) == ["one"]
    async with bench.plane.read() as connection:
        query = select(AUDIT.c.actor, AUDIT.c.subject).where(AUDIT.c.action == "notice_target.disabled")
        assert (await connection.execute(query)).one() == ("server", "ops")


async def test_a_defect_or_a_lost_key_ring_is_a_failed_attempt(bench: Bench) -> None:
    address = await bench.target("ops")
    bench.sender.script[address] = deque([RuntimeError("CANARY")])
    await bench.notice("one")
    async with bench.delivering():
        rows = await bench.attempted(0, 1)
        assert rows[0]["error"] == "An unexpected RuntimeError, a fault of this server: report it."
        bench.move(WAITS_S[0])
        await bench.until_rows(lambda rows: rows[0]["delivered_at"] is not None)
        await targets.delete_target(bench.plane, ADMIN, "ops")
        await targets.create_target(bench.plane, ADMIN, TargetWish("hook", "webhook", "https://a.example/"))
        async with bench.plane.note() as connection:
            await connection.execute(update(NOTICE_TARGETS).values(secret=b""))
        await bench.notice("two")
        rows = await bench.attempted(0, 1)
    assert "key ring" in rows[0]["error"]
    assert rows[0]["next_at"] == bench.now + WAITS_S[0]


async def test_what_cannot_be_written_down_is_not_sent_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    address = await bench.target("ops")
    await bench.notice("one")
    failures = [2]

    async def full_disk(*given: Any) -> None:
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("", {}, Exception("database or disk is full"))
        await note_delivered(*given)

    monkeypatch.setattr("agent.server.notice_delivery.note_delivered", full_disk)
    monkeypatch.setattr("agent.server.notice_delivery.DATABASE_PAUSE_S", 0.0)
    async with bench.delivering():
        await bench.until_rows(lambda rows: rows[0]["delivered_at"] is not None)
    assert failures == [0]
    assert bench.sender.sentences(address) == ["one"]


def test_waits_grow_up_to_an_hour_with_jitter() -> None:
    assert [wait_s(failures, MIDDLE) for failures in (1, 2, 3, 4, 5, 6, 99)] == [30, 120, 600, 1800, 3600, 3600, 3600]
    assert wait_s(1, 0.0) == pytest.approx(30 * (1 - JITTER))
    assert wait_s(1, 0.999) == pytest.approx(30 * (1 + JITTER), rel=0.01)
