"""What all forwarding sessions of a process share: the stores, the limits, the record of what was done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.forward.target import ForwardTimeouts, StoreTable
from agent.pause import Pause
from agent.store_url import Store

if TYPE_CHECKING:  # an exchange knows its context
    from agent.forward.exchange import ForwardExchange


@dataclass(slots=True)  # not frozen, though nobody changes it: that would triple what it costs to make one
class ExchangeRecord:
    """One finished exchange, for the log and for counters. ``target`` is what may be shown of it: no values.

    ``summed_up``: one of many over a limit, which are told of together.
    """

    request_id: str
    store: str
    method: str
    target: str
    status: int
    error: str
    elapsed_s: float
    bytes_to_store: int
    bytes_from_store: int
    trace_id: str = ""
    summed_up: bool = False


class ForwardContext:
    """Shared state of forwarding sessions.

    ``table`` may be swapped while exchanges run (they keep the target they began with). ``sessions`` counts open
    channels, ``ended_count`` the exchanges that ended since the start, ``failed_count`` those of them that failed.
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
        self.sessions = 0
        self.ended_count = 0
        self.failed_count = 0
        self._running: set[ForwardExchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    @property
    def active(self) -> int:
        """Exchanges that run."""
        return len(self._running)

    def active_by_store(self) -> Counter[str]:
        """Exchanges that run, by their store as the log names it; "" while, or because, none was found."""
        targets = (exchange._target for exchange in self._running)  # noqa: SLF001 - an exchange is its context's own
        return Counter(str(target.rule.store) if target is not None else "" for target in targets)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task that belongs to this context until it ends or ``close`` is called."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def began(self, exchange: ForwardExchange) -> None:
        """An exchange has begun."""
        self._running.add(exchange)

    def ended(self, exchange: ForwardExchange, record: ExchangeRecord) -> None:
        """An exchange has ended."""
        self._running.discard(exchange)
        self.ended_count += 1
        if record.error:
            self.failed_count += 1
        if self.record is not None:
            self.record(record)
        self._ended.set()

    def stop_paused(self, pause_of: Callable[[Store], Pause | None]) -> int:
        """Stop the exchanges that run with paused stores, now; how many there were."""
        before = self.active
        for exchange in tuple(self._running):
            exchange.stop(pause_of)
        return before - self.active

    async def begun_have_ended(self) -> None:
        """Wait until the exchanges that run now have ended; those that begin meanwhile do not count."""
        begun = frozenset(self._running)
        while begun & self._running:
            self._ended.clear()
            await self._ended.wait()

    async def close(self) -> None:
        """Close idle store connections and end the tasks that still dial."""
        self.table.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
