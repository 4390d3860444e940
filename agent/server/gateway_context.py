"""What all exchanges of the gateway share: tables, limits, places, the way to stores, the record of what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from agent.server.admission import Admission
from agent.server.routes import Route, RoutingTable

if TYPE_CHECKING:
    from agent.server.exchange import Exchange
    from agent.server.upstreams import Upstreams


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Limits of the gateway; times in seconds, sizes in bytes. ``body_max_bytes`` None means no limit.

    ``upstream_silence_s`` is more than an agent takes to dial (10 s) and then lets a store be silent (120 s), so that
    the agent's answer comes first.
    """

    client_head_s: float = 10.0
    client_stall_s: float = 60.0
    client_idle_s: float = 75.0
    upstream_silence_s: float = 140.0
    queue_s: float = 10.0
    queue_max: int = 100
    park_s: float = 10.0
    park_drain_s: float = 45.0
    parked_max: int = 200
    body_max_bytes: int | None = None


@dataclass(slots=True)  # not frozen, though nobody changes it: that would triple what it costs to make one
class GatewayRecord:
    """One finished exchange. ``target`` is what may be shown of it: names of parameters, and no values.

    ``answered_by`` is store, agent, gateway or nobody; ``error`` a name of the error contract, ``client_gone``, or "".
    ``waited_s`` is the time until the request was handed to a channel (place, tunnel, channel), ``first_byte_s`` until
    the first byte of the answer, both from the begin and None where it did not come so far. ``tunnel_s`` is the
    tunnel's share in between: the round trip that the agent measured last, None where nobody does, 0 in mode Cloud.
    ``trace_id`` is the one of the caller's ``traceparent``, "" without one.
    """

    request_id: str
    connection: str
    key_id: str
    method: str
    target: str
    status: int
    answered_by: str
    error: str
    elapsed_s: float
    bytes_up: int
    bytes_down: int
    waited_s: float | None = None
    first_byte_s: float | None = None
    tunnel_s: float | None = None
    trace_id: str = ""

    @property
    def failed(self) -> bool:
        """True when the answer was not the store's, or the store's was a server error."""
        return bool(self.error) or self.status >= 500 or self.status == 0

    @property
    def store_s(self) -> float | None:
        """An estimate of the store's share: what is left until the first byte without waiting and tunnel."""
        if self.first_byte_s is None or self.waited_s is None or self.tunnel_s is None:
            return None
        return max(0.0, self.first_byte_s - self.waited_s - self.tunnel_s)


class Phase(Enum):
    """How far this server is on its way out."""

    SERVING = "serving"
    LEAVING = "leaving"  # serves whoever comes, but every answer is the last one of its client connection
    REFUSING = "refusing"  # what still waits for a tunnel waits no longer


class GatewayContext:
    """Shared state of the gateway."""

    def __init__(
        self,
        table: RoutingTable,
        limits: GatewayLimits,
        record: Callable[[GatewayRecord], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.table = table
        self.limits = limits
        self.phase = Phase.SERVING
        self.upstreams: Upstreams
        self._record = record
        self._admissions: dict[str, Admission] = {}
        self._running: set[Exchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Event | None = None

    @property
    def active(self) -> int:
        """Exchanges that run or wait."""
        return len(self._running)

    @property
    def queued(self) -> int:
        """Of those, how many wait for a place within their connection's concurrency."""
        return sum(admission.waiting for admission in self._admissions.values())

    @property
    def leaving(self) -> bool:
        """True from the beginning of the drain on."""
        return self.phase is not Phase.SERVING

    def admission(self, route: Route) -> Admission:
        """The places of this connection, as many as it says now."""
        admission = self._admissions.get(route.connection_id)
        if admission is None:
            admission = Admission(self.loop, route.concurrency, self.limits.queue_max, self.limits.queue_s)
            self._admissions[route.connection_id] = admission
        elif admission.concurrency != route.concurrency:
            admission.widen(route.concurrency)
        return admission

    def forget_gone_routes(self) -> None:
        """Drop the empty places of connections that the table does not have any more."""
        for connection_id, admission in tuple(self._admissions.items()):
            if self.table.route(connection_id) is None and not admission.running and not admission.waiting:
                del self._admissions[connection_id]

    def began(self, exchange: Exchange) -> None:
        """An exchange has begun."""
        self._running.add(exchange)

    def ended(self, exchange: Exchange, record: GatewayRecord) -> None:
        """An exchange has ended."""
        self._running.discard(exchange)
        self._record(record)
        self._tell_end()

    def client_left(self) -> None:
        """A client's connection has ended."""
        self._tell_end()

    def note(self, record: GatewayRecord) -> None:
        """A request was answered without an exchange."""
        self._record(record)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task that belongs to the gateway."""
        task = self.loop.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def refuse_waiting(self) -> None:
        """What waits for a tunnel, or behind such in the queue, waits no longer."""
        self.phase = Phase.REFUSING
        self.upstreams.wake_all()

    async def begun_have_ended(self) -> None:
        """Wait until the exchanges that have a channel now have ended; those that begin meanwhile do not count."""
        begun = frozenset(exchange for exchange in self._running if exchange.has_channel)
        while begun & self._running:
            await self.next_end()

    async def next_end(self) -> None:
        """Wait until the next exchange, or the connection of a client, has ended; for one caller at a time."""
        self._ended = asyncio.Event()
        await self._ended.wait()

    async def close(self) -> None:
        """End what still runs, and all tasks."""
        for exchange in tuple(self._running):
            exchange.abandon()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell_end(self) -> None:
        if self._ended is not None:
            self._ended.set()
