"""Who may run, who waits, and for how long."""

from __future__ import annotations

import asyncio

from agent.errors import ConnectionBusy, ExchangeError
from agent.server.admission import Admission


class Guest:
    """One that wants in."""

    def __init__(self) -> None:
        self.runs = False
        self.error: ExchangeError | None = None
        self.told = asyncio.Event()

    def admitted(self) -> None:
        assert not self.runs
        self.runs = True
        self.told.set()

    def refused(self, error: ExchangeError) -> None:
        self.error = error
        self.told.set()


def door(concurrency: int = 2, queue_max: int = 3, queue_s: float = 10.0) -> Admission:
    return Admission(asyncio.get_running_loop(), concurrency, queue_max, queue_s)


def enter(admission: Admission, count: int) -> list[Guest]:
    guests = [Guest() for _ in range(count)]
    for guest in guests:
        admission.enter(guest)
    return guests


async def test_some_run_some_wait_the_rest_is_refused() -> None:
    admission = door()
    guests = enter(admission, 7)
    assert [guest.runs for guest in guests] == [True] * 2 + [False] * 5
    assert [guest.error is not None for guest in guests] == [False] * 5 + [True] * 2
    assert isinstance(guests[5].error, ConnectionBusy)
    assert guests[5].error.retry_after == 2
    assert (admission.running, admission.waiting) == (2, 3)
    assert repr(admission) == "<Admission 2/2 running, 3 waiting>"


async def test_they_come_in_in_order() -> None:
    admission = door()
    guests = enter(admission, 5)
    admission.leave()
    assert [guest.runs for guest in guests] == [True, True, True, False, False]
    guests.append(Guest())
    admission.enter(guests[-1])
    assert [guest.runs for guest in guests] == [True, True, True, False, False, False], "nobody overtakes"
    for _ in range(3):
        admission.leave()
    assert all(guest.runs for guest in guests)
    for _ in range(2):
        admission.leave()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_one_that_leaves_the_queue_is_passed_over() -> None:
    admission = door(concurrency=1)
    first, second, third = enter(admission, 3)
    admission.withdraw(second)
    admission.withdraw(second)
    admission.leave()
    assert (second.runs, third.runs, admission.waiting) == (False, True, 0)
    assert first.runs


async def test_waiting_has_an_end() -> None:
    admission = door(concurrency=1, queue_s=0.05)
    _, patient = enter(admission, 2)
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(patient.told.wait(), 5)
    assert asyncio.get_running_loop().time() - began >= 0.045
    assert isinstance(patient.error, ConnectionBusy)
    assert "0.05 s" in patient.error.detail
    again = Guest()
    admission.enter(again)
    await asyncio.wait_for(again.told.wait(), 5)
    assert again.error is not None, "the timer was set anew"
    assert admission.running == 1


async def test_a_withdrawn_head_of_the_queue_shortens_nobodys_wait() -> None:
    admission = door(concurrency=1, queue_s=0.1)
    _, leaver = enter(admission, 2)
    await asyncio.sleep(0.06)
    admission.withdraw(leaver)
    stayer = Guest()
    began = asyncio.get_running_loop().time()
    admission.enter(stayer)
    await asyncio.wait_for(stayer.told.wait(), 5)
    assert asyncio.get_running_loop().time() - began >= 0.09


async def test_a_setting_can_change_while_some_wait() -> None:
    admission = door(concurrency=1)
    guests = enter(admission, 3)
    admission.widen(3)
    assert all(guest.runs for guest in guests)
    admission.widen(1)
    late = Guest()
    admission.enter(late)
    admission.leave()
    admission.leave()
    assert not late.runs
    admission.leave()
    assert late.runs
