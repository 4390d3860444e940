"""The agent's metrics: every family with its meaning, made from a report at the moment of a scrape.

prometheus_client is imported by the first scrape and not before: without one it takes no memory.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agent.exchange_tally import BOUNDS_S, StoreTally
from agent.self_report import SelfReport
from agent.tunnel.state import State

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

PREFIX: Final = "prestashop_agent_"
KEPT_TIMES: Final = 9
"""A page counts for so many times as long as it took: 512 stores take 0.1 s of the event loop, and anybody may ask."""

_Labels = TypeVar("_Labels", bound=tuple[str, ...])

_UP: Final = frozenset({State.READY.value, State.DRAINING.value})

_BUILD = "build", "The version of this program."
_READY = "ready", "1 while a tunnel is up and new requests are taken."
_IN_FLIGHT = "exchanges_in_flight", "Exchanges that run."
_EXCHANGES = "exchanges", "Exchanges that ended; status is 2xx, 3xx, 4xx, 5xx, or cut when no answer was sent."
_ERRORS = "exchange_errors", "Exchanges without a whole answer of the store, by the error's name (docs: errors.md)."
_DURATION = "exchange_duration_seconds", "From the request's head to the end of the answer, on the store's side."
_BYTES = "exchange_bytes", "Bytes of ended exchanges; direction is to_store or from_store."
_CONNECTIONS = "store_connections", "Connections to a store; state is idle or busy."
_PAUSED = "store_paused", "1 while the shop's administrator has paused the store."
_LIMITED = "store_limited", "Requests that were over the store's max_requests_per_minute."
_TUNNEL_STATE = "tunnel_state", "1 for the state that the tunnel is in, 0 for the others."
_TUNNEL_UP = "tunnel_up", "1 while the tunnel carries requests."
_ATTEMPTS = "tunnel_attempts", "Attempts to connect."
_ENDINGS = "tunnel_endings", "Ends of tunnels and of attempts, by reason (docs: status.md)."
_NEEDS_PERSON = "tunnel_needs_person", "1 while trying again cannot help before a person has acted, by reason."
_HEARTBEAT = "tunnel_heartbeat_age_seconds", "Since the server answered a heartbeat."
_ROUND_TRIP = "tunnel_round_trip_seconds", "Of the last heartbeat through the tunnel."
_CHANNELS = "tunnel_channels", "Channels that are open in the tunnel."
_FAST = (
    "tunnel_fast_path_packets",
    "SSH packets on the fast path since the tunnel is up; direction: sent, received.",
)
_LAG = "event_loop_lag_seconds", "How late the event loop was at worst within the last minute."

_COUNTERS: Final = (_EXCHANGES, _ERRORS, _BYTES, _LIMITED, _ATTEMPTS, _ENDINGS, _FAST)
_GAUGES: Final = (
    *(_READY, _IN_FLIGHT, _CONNECTIONS, _PAUSED, _TUNNEL_STATE, _TUNNEL_UP, _NEEDS_PERSON, _HEARTBEAT, _ROUND_TRIP),
    *(_CHANNELS, _LAG),
)
_PROCESS: Final = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
)


def metric_names() -> frozenset[str]:
    """The names of all series that a scrape can give, as they stand in a query."""
    histogram = {f"{PREFIX}{_DURATION[0]}_{part}" for part in ("bucket", "count", "sum")}
    counters = {f"{PREFIX}{name}_total" for name, _ in _COUNTERS}
    gauges = {f"{PREFIX}{name}" for name, _ in _GAUGES}
    return frozenset({f"{PREFIX}{_BUILD[0]}_info", *histogram, *counters, *gauges, *_PROCESS})


class AgentMetrics:
    """``scrape`` is the page; ``connections`` counts those over which it is asked for."""

    def __init__(
        self, report: SelfReport, connections: Callable[[], int], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._report = report
        self._connections = connections
        self._clock = clock
        self._kept: tuple[str, bytes] = ("", b"")
        self._kept_until = float("-inf")
        self._registry: CollectorRegistry | None = None

    def scrape(self, accept: str) -> tuple[str, bytes]:
        """Content type and body: OpenMetrics where ``accept`` asks for it, else the text format of Prometheus.

        Of two scrapes at once the second gets the page of the first, in the format of the first.
        """
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        from agent.process_metrics import ProcessMetrics

        began = self._clock()
        if began < self._kept_until:
            return self._kept
        if self._registry is None:
            self._registry = CollectorRegistry()
            self._registry.register(self)
            ProcessMetrics(registry=self._registry)
        encode, content_type = choose_encoder(accept)
        self._kept = content_type, encode(self._registry)
        now = self._clock()
        self._kept_until = now + KEPT_TIMES * (now - began)
        return self._kept

    def describe(self) -> Iterable[Metric]:
        """Nothing: what is registered need not be collected for its names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families; what prometheus_client calls at a scrape."""
        report = self._report.status(self._connections())
        yield from _agent_families(report)
        yield from _tunnel_families(report["tunnels"], self._report.endings())
        yield from _store_families(report["stores"])
        yield from _exchange_families(self._report.tally.stores)


def _agent_families(report: Mapping[str, Any]) -> Iterator[Metric]:
    """What concerns the program as a whole."""
    from prometheus_client.core import InfoMetricFamily

    build = {"version": report["version"], "python": platform.python_version()}
    yield InfoMetricFamily(PREFIX + _BUILD[0], _BUILD[1], value=build)
    yield _gauge(_READY, {(): report["state"] == "ready"})
    yield _gauge(_LAG, {(): report["loop_lag_ms"] / 1000})


def _tunnel_families(tunnels: Iterable[Mapping[str, Any]], endings: Iterable[Mapping[str, int]]) -> Iterator[Metric]:
    by_index = {str(tunnel["index"]): tunnel for tunnel in tunnels}
    states = {
        (index, state.value): tunnel["state"] == state.value
        for index, tunnel in by_index.items()
        for state in State
        if state is not State.CLOSED
    }
    yield _gauge(_TUNNEL_STATE, states, "tunnel", "state")
    yield _gauge(_TUNNEL_UP, {(index,): tunnel["state"] in _UP for index, tunnel in by_index.items()}, "tunnel")
    yield _gauge(_CHANNELS, {(index,): tunnel["open_channels"] for index, tunnel in by_index.items()}, "tunnel")
    yield _gauge(_HEARTBEAT, _known(by_index, "last_heartbeat_age_s", 1), "tunnel")
    yield _gauge(_ROUND_TRIP, _known(by_index, "round_trip_ms", 1000), "tunnel")
    fast = {
        (index, direction): tunnel[f"fast_path_packets_{direction}"]
        for index, tunnel in by_index.items()
        for direction in ("sent", "received")
    }
    yield _counter(_FAST, fast, "tunnel", "direction")
    waiting = {
        (index, tunnel["last_ending"]["reason"]): True
        for index, tunnel in by_index.items()
        if tunnel["state"] == State.SLOW.value and tunnel["last_ending"]
    }
    yield _gauge(_NEEDS_PERSON, waiting, "tunnel", "reason")
    yield _counter(_ATTEMPTS, {(index,): tunnel["attempts"] for index, tunnel in by_index.items()}, "tunnel")
    ended = {(str(index), reason): count for index, each in enumerate(endings) for reason, count in each.items()}
    yield _counter(_ENDINGS, ended, "tunnel", "reason")


def _store_families(stores: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    by_name = {store["store"]: store for store in stores}
    yield _gauge(_IN_FLIGHT, {(name,): store["in_flight"] for name, store in by_name.items()}, "store")
    states = {(name, state): store[state] for name, store in by_name.items() for state in ("idle", "busy")}
    yield _gauge(_CONNECTIONS, states, "store", "state")
    yield _gauge(_PAUSED, {(name,): store.get("paused") is not None for name, store in by_name.items()}, "store")
    yield _counter(_LIMITED, {(name,): store.get("limited", 0) for name, store in by_name.items()}, "store")


def _exchange_families(tallies: Mapping[str, StoreTally]) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    answers = {
        (store, method, f"{digit}xx" if digit else "cut"): count
        for store, tally in tallies.items()
        for (method, digit), count in tally.answers.items()
    }
    yield _counter(_EXCHANGES, answers, "store", "method", "status")
    errors = {(store, error): count for store, tally in tallies.items() for error, count in tally.errors.items()}
    yield _counter(_ERRORS, errors, "store", "error")
    moved = {
        (store, direction): count
        for store, tally in tallies.items()
        for direction, count in (("to_store", tally.bytes_to_store), ("from_store", tally.bytes_from_store))
    }
    yield _counter(_BYTES, moved, "store", "direction")
    duration = HistogramMetricFamily(PREFIX + _DURATION[0], _DURATION[1], labels=["store"])
    for store, tally in tallies.items():
        bounds = (*map(str, BOUNDS_S), "+Inf")
        buckets = list(zip(bounds, accumulate(map(float, tally.durations)), strict=True))
        duration.add_metric([store], buckets=buckets, sum_value=tally.total_s)
    yield duration


def _known(tunnels: Mapping[str, Mapping[str, Any]], key: str, divisor: float) -> dict[tuple[str, ...], float]:
    return {(index,): tunnel[key] / divisor for index, tunnel in tunnels.items() if tunnel[key] is not None}


def _gauge(family: tuple[str, str], values: Mapping[_Labels, float], *labels: str) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    gauge = GaugeMetricFamily(PREFIX + family[0], family[1], labels=labels)
    for of_labels, value in values.items():
        gauge.add_metric(of_labels, float(value))
    return gauge


def _counter(family: tuple[str, str], values: Mapping[_Labels, float], *labels: str) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    counter = CounterMetricFamily(PREFIX + family[0], family[1], labels=labels)
    for of_labels, value in values.items():
        counter.add_metric(of_labels, value)
    return counter
