"""Collects what the running agent says of itself, from the parts that know."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import agent
from agent.exchange_tally import ExchangeTally, StoreTally
from agent.forward.context import ForwardContext
from agent.forward.target import StoreTarget
from agent.loop_lag import LoopLag
from agent.past import endings_of, exchanges_of
from agent.process_report import ProcessReport
from agent.status import AgentReport, ExchangesReport, StoreConnections, StoreReport, TunnelReport
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.tunnel_status import TunnelStatus


class SelfReport:
    """Makes an ``AgentReport`` when asked; ``watch`` tells it of the parts once they are there.

    ``tally`` is to be told of every exchange, ``lag`` to be run.
    """

    def __init__(self, instance_id: str, agent_id: str, is_stopping: Callable[[], bool], proxy: ProxyDial) -> None:
        self._instance_id = instance_id
        self._agent_id = agent_id
        self._is_stopping = is_stopping
        self._proxy = proxy
        self._started_at = time.monotonic()
        self.tally = ExchangeTally()
        self.lag = LoopLag()
        self._context: ForwardContext | None = None
        self._supervisor: Supervisor | None = None

    def watch(self, context: ForwardContext, supervisor: Supervisor) -> None:
        """From now on there are stores and tunnels."""
        self._context = context
        self._supervisor = supervisor

    def status(self, own_connections: int) -> dict[str, Any]:
        """The report as JSON values; ``own_connections`` are those over which it is asked for."""
        return self._report(own_connections).to_json()

    def endings(self) -> tuple[dict[str, int], ...]:
        """For each tunnel how often it, or an attempt at it, ended, by reason."""
        trails = self._supervisor.trails() if self._supervisor is not None else ()
        return tuple({reason.value: count for reason, count in trail.counts.items()} for trail in trails)

    def _report(self, own_connections: int) -> AgentReport:
        context = self._context
        tunnels = self._supervisor.status() if self._supervisor is not None else ()
        stores = self._stores(context) if context is not None else ()
        return AgentReport(
            version=agent.__version__,
            pid=os.getpid(),
            instance_id=self._instance_id,
            agent_id=self._agent_id,
            uptime_s=round(time.monotonic() - self._started_at, 3),
            state=self._state(tunnels),
            exchanges=ExchangesReport(
                in_flight=context.active if context is not None else 0,
                ended=context.ended_count if context is not None else 0,
                failed=context.failed_count if context is not None else 0,
            ),
            sessions=context.sessions if context is not None else 0,
            store_connections=StoreConnections(
                idle=sum(store.idle for store in stores), busy=sum(store.busy for store in stores)
            ),
            tunnels=tuple(TunnelReport.of(tunnel, self._proxy.route) for tunnel in tunnels),
            stores=stores,
            process=ProcessReport.now(own_connections),
            is_alive=self._supervisor is None or not self._supervisor.has_ended or self._is_stopping(),
            loop_lag_ms=round(self.lag.worst_s * 1000, 3),
            last_exchanges=exchanges_of(self.tally.last),
            last_failures=exchanges_of(self.tally.last_failed),
            last_endings=endings_of(self._supervisor.trails() if self._supervisor is not None else ()),
        )

    def _stores(self, context: ForwardContext) -> tuple[StoreReport, ...]:
        in_flight = context.active_by_store()
        nothing = StoreTally()

        def report(target: StoreTarget) -> StoreReport:
            store = str(target.rule.store)
            tally = self.tally.stores.get(store, nothing)
            return StoreReport(
                url=target.rule.store.webservice_url,
                methods=tuple(sorted(target.rule.methods)),
                idle=target.pool.idle_count,
                busy=target.pool.open_count - target.pool.idle_count,
                store=store,
                in_flight=in_flight[store],
                ended=tally.ended,
                failed=tally.failed,
                bytes_to_store=tally.bytes_to_store,
                bytes_from_store=tally.bytes_from_store,
                paused=target.gate.pause,
                max_requests_per_minute=target.gate.per_minute,
                limited=target.gate.limited_count,
            )

        return tuple(report(target) for target in context.table.targets)

    def _state(self, tunnels: Sequence[TunnelStatus]) -> str:
        if self._is_stopping():
            return "draining"
        if self._supervisor is None:
            return "starting"
        if self._supervisor.is_ready:
            return "ready"
        return "refused" if tunnels and all(map(_is_turned_away, tunnels)) else "connecting"


def _is_turned_away(tunnel: TunnelStatus) -> bool:
    """In the slow lane; the attempts that are made from there change nothing until one succeeds."""
    if tunnel.state in {State.CONNECTING, State.AUTHENTICATING}:
        return tunnel.last_ending is not None and tunnel.last_ending.reason.needs_a_person
    return tunnel.state is State.SLOW
