"""Delivers what waits for the notice targets: at least once, in order per target, no target waiting for another."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.notice_message import NotDeliveredError, SendNotice, Verdict
from agent.server.operations.notice_queue import (
    WaitingDelivery,
    note_delivered,
    note_failed,
    oldest_waiting,
    switch_off,
    target_queues,
)
from agent.server.operations.notice_vault import destination_of

WAITS_S: Final = (30.0, 120.0, 600.0, 1800.0, 3600.0)
"""After the first failure of a target in a row, the second, ...; the last one from then on."""

JITTER: Final = 0.2
"""Each wait is up to so much of itself shorter or longer."""

GIVEN_UP_AFTER_S: Final = 86_400.0
LOOK_EVERY_S: Final = 60.0
DATABASE_PAUSE_S: Final = 2.0

_TOO_LATE: Final = "Given up: it was not delivered within 24 h."
_LOG = structlog.get_logger()


def wait_s(failures: int, chance: float) -> float:
    """Seconds until the next attempt, after so many failures in a row (1 or more); ``chance`` is 0 <= x < 1."""
    return WAITS_S[min(failures, len(WAITS_S)) - 1] * (1 - JITTER + 2 * JITTER * chance)


@dataclass(frozen=True, slots=True)
class _Running:
    task: asyncio.Task[None]
    updated_at: float


class NoticeDelivery:
    """``run`` delivers until it is cancelled, and leaves at once then: what was not noted is sent again.

    One task per target that has something due; it ends at once when the target is changed, switched off or deleted.
    """

    def __init__(self, plane: ControlPlane, send: SendNotice, *, uniform: Callable[[], float] = random.random) -> None:
        self._plane = plane
        self._send = send
        self._uniform = uniform
        self._running: dict[str, _Running] = {}
        self._failures: dict[str, int] = {}  # in a row, by target

    async def run(self) -> None:
        """Deliver whatever is due; looks when told to, when something falls due, and once a minute."""
        due = self._plane.deliveries_due
        async with asyncio.TaskGroup() as group:
            while True:
                due.clear()
                pause_s = await self._look(group)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await due.wait()

    async def _look(self, group: asyncio.TaskGroup) -> float:
        """Start and stop what has to be; the seconds until the next look."""
        try:
            queues = {queue.target_id: queue for queue in await target_queues(self._plane)}
        except SQLAlchemyError as error:  # a locked database, say
            _LOG.warning("notices.not_read", error=type(error).__name__)
            return DATABASE_PAUSE_S
        except Exception as error:  # noqa: BLE001 - a defect must not end the delivery for good
            _LOG.error("notices.defect", error=type(error).__name__)
            return LOOK_EVERY_S
        for target_id, running in self._running.items():
            if target_id not in queues or queues[target_id].updated_at != running.updated_at:
                running.task.cancel()  # its end asks for the next look
        pause_s = LOOK_EVERY_S
        for target_id, queue in queues.items():
            if queue.next_at is None or target_id in self._running:
                continue
            in_s = queue.next_at - self._plane.clock()
            if in_s > 0:
                pause_s = min(pause_s, in_s)
                continue
            task = group.create_task(self._deliver(target_id), name=f"notices-{target_id}")
            self._running[target_id] = _Running(task, queue.updated_at)
            task.add_done_callback(functools.partial(self._ended, target_id))
        self._failures = {target_id: number for target_id, number in self._failures.items() if target_id in queues}
        return pause_s

    def _ended(self, target_id: str, _task: asyncio.Task[None]) -> None:
        del self._running[target_id]
        self._plane.deliveries_due.set()

    async def _deliver(self, target_id: str) -> None:
        """Deliver what is due for one target, one after the other."""
        try:
            while (delivery := await oldest_waiting(self._plane, target_id)) is not None:
                now = self._plane.clock()
                if now - delivery.message.at > GIVEN_UP_AFTER_S:
                    await self._give_up(delivery)
                elif delivery.next_at > now:
                    return
                else:
                    await self._settle(delivery, await self._attempt(delivery))
        except SQLAlchemyError as error:
            _LOG.warning("notices.not_read", error=type(error).__name__)
            await asyncio.sleep(DATABASE_PAUSE_S)
        except Exception as error:  # noqa: BLE001 - nor one with one target the delivery to all others
            _LOG.error("notices.defect", target_id=target_id, error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _attempt(self, delivery: WaitingDelivery) -> NotDeliveredError | None:
        try:
            await self._send(destination_of(self._plane.vault, delivery.target), delivery.message)
        except NotDeliveredError as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - it is this attempt that failed, and is told of as such
            _LOG.error("notices.defect", target=delivery.target["name"], error=type(error).__name__)
            return NotDeliveredError(f"An unexpected {type(error).__name__}, a fault of this server: report it.")
        return None

    async def _give_up(self, delivery: WaitingDelivery) -> None:
        self._plane.deliveries["given_up"] += 1
        before = f" The last attempt: {delivery.error}" if delivery.error else ""
        await self._noted(lambda: note_failed(self._plane, delivery, _TOO_LATE + before, None, attempted=False))
        _LOG.warning("notices.given_up", target=delivery.target["name"], notice_id=delivery.message.id)

    async def _settle(self, delivery: WaitingDelivery, failure: NotDeliveredError | None) -> None:
        """Note what came of an attempt, and when the next one is due."""
        target_id = delivery.target["id"]
        self._plane.deliveries["delivered" if failure is None else "failed"] += 1
        if failure is None:
            self._failures.pop(target_id, None)
            await self._noted(lambda: note_delivered(self._plane, delivery))
            _LOG.info("notices.delivered", target=delivery.target["name"], notice_id=delivery.message.id)
            return
        error = str(failure)
        next_at: float | None = None
        if failure.verdict is Verdict.GONE:
            await self._noted(lambda: switch_off(self._plane, delivery, error))
        else:
            if failure.verdict is Verdict.RETRY:
                failures = max(self._failures.get(target_id, 0), delivery.attempts) + 1
                self._failures[target_id] = failures
                next_at = self._plane.clock() + wait_s(failures, self._uniform())
            await self._noted(lambda: note_failed(self._plane, delivery, error, next_at))
        _LOG.log(
            logging.INFO if delivery.attempts else logging.WARNING,  # the first one of a notice is worth a look
            "notices.not_delivered",
            target=delivery.target["name"],
            notice_id=delivery.message.id,
            attempts=delivery.attempts + 1,
            verdict=failure.verdict.value,
            error=error,
        )

    async def _noted(self, note: Callable[[], Awaitable[None]]) -> None:
        """Write it down, however long that takes: nothing is sent again because a disk is full."""
        while True:
            try:
                await note()
            except SQLAlchemyError as error:
                _LOG.warning("notices.not_written", error=type(error).__name__)
                await asyncio.sleep(DATABASE_PAUSE_S)
            else:
                return
