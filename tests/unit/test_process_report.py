"""What a process says of itself is what the kernel and the event loop know."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from agent.process_report import ProcessReport
from tests.kit.until import until


async def test_a_leak_of_each_kind_is_seen(tmp_path: Path) -> None:
    before = ProcessReport.now(0)
    assert before.open_files is not None
    assert before.threads is not None
    assert before.resident_bytes is not None
    assert before.resident_bytes > 1 << 20
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    task = asyncio.create_task(asyncio.Event().wait())
    try:
        with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
            now = ProcessReport.now(0)
            assert now.open_files == before.open_files + 2
            assert ProcessReport.now(1).open_files == before.open_files + 1
            assert now.threads == before.threads + 1
            assert now.tasks == before.tasks + 1
    finally:
        ending.set()
        thread.join()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    # A thread that was joined is still seen in /proc for a moment.
    await until(lambda: ProcessReport.now(0).threads == before.threads)
    after = ProcessReport.now(0)
    assert (after.tasks, after.open_files) == (before.tasks, before.open_files)


async def test_the_task_that_answers_is_not_counted() -> None:
    assert ProcessReport.now(0).tasks == len(asyncio.all_tasks()) - 1
    # A callback of the loop, as the agent's socket answers, is no task at all.
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: answered.set_result(ProcessReport.now(0).tasks))
    assert await answered == len(asyncio.all_tasks())
