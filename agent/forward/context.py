"""What all forwarding sessions of a process share: the stores, the limits, the record of what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from agent.forward.target import ForwardTimeouts, StoreTable


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """One finished exchange, for the log and for counters. ``target`` still has its values: redact before showing."""

    request_id: str
    store: str
    method: str
    target: bytes
    status: int
    error: str
    elapsed_s: float
    bytes_to_store: int
    bytes_from_store: int


class ForwardContext:
    """Shared state of forwarding sessions.

    ``table`` may be swapped while exchanges run (they keep the target they began with). ``active`` counts running
    exchanges, ``sessions`` open channels; draining waits for ``active`` to reach zero by ``quiet``.
    """

    def __init__(
        self,
        table: StoreTable,
        *,
        timeouts: ForwardTimeouts | None = None,
        proxy: str = "prestashop-agent",
        record: Callable[[ExchangeRecord], None] | None = None,
    ) -> None:
        self.table = table
        self.timeouts = timeouts or ForwardTimeouts()
        self.proxy = proxy
        self.record = record
        self.active = 0
        self.sessions = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._quiet: asyncio.Event | None = None

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task that belongs to this context until it ends or ``close`` is called."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def began(self) -> None:
        """An exchange has begun."""
        self.active += 1

    def ended(self, record: ExchangeRecord) -> None:
        """An exchange has ended."""
        self.active -= 1
        if self.record is not None:
            self.record(record)
        if self.active == 0 and self._quiet is not None:
            self._quiet.set()

    async def quiet(self) -> None:
        """Wait until no exchange runs."""
        while self.active:
            self._quiet = asyncio.Event()
            await self._quiet.wait()

    async def close(self) -> None:
        """Close idle store connections and end the tasks that still dial."""
        self.table.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
