"""Every metric of the server: name, kind, labels, meaning. One table, from which docs/metrics.md is made. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from agent.server.exchange_counts import BOUNDS_S, Distribution

Kind = Literal["counter", "gauge", "histogram"]
Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. ``shown_name`` is the one that is queried: counters end in ``_total``."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def shown_name(self) -> str:
        """As it is scraped."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    def of(self, value: float) -> Metric:
        """With one value and no labels."""
        return self.by([((), value)])

    def by(self, samples: Iterable[Sample]) -> Metric:
        """With a value for each set of label values."""
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        made: CounterMetricFamily | GaugeMetricFamily = kind(self.name, self.help, labels=self.labels)
        for values, value in samples:
            made.add_metric(values, value)
        return made

    def spread(self, values: Distribution) -> Metric:
        """As a histogram."""
        made = HistogramMetricFamily(self.name, self.help)
        buckets, below = [], 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), values.counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        made.add_metric((), buckets, values.total_s)
        return made


FAMILIES: Final[dict[str, Family]] = {}


def _family(name: str, kind: Kind, meaning: str, *labels: str) -> Family:
    made = Family(f"integration_server_{name}", kind, meaning, labels)
    FAMILIES[made.shown_name] = made
    return made


REQUESTS: Final = _family(
    "requests",
    "counter",
    "Requests by who answered (store, agent, gateway, nobody), status class, and name of the error contract.",
    "answered_by",
    "status_class",
    "error",
)
DURATION: Final = _family(
    "request_duration_seconds",
    "histogram",
    "From the request's head to the end of its answer, waiting included; not of those refused at once.",
)
FIRST_BYTE: Final = _family(
    "first_byte_seconds", "histogram", "From the request's head to the first byte of the store's or the agent's answer."
)
REQUEST_BYTES: Final = _family("request_bytes", "counter", "Bytes sent towards stores, heads included.")
RESPONSE_BYTES: Final = _family("response_bytes", "counter", "Bytes of answers passed on to clients.")
UNKNOWN_WRITES: Final = _family(
    "writes_outcome_unknown", "counter", "Writes that were sent to a store and whose answer never came whole."
)
CONNECTION_REQUESTS: Final = _family(
    "connection_requests",
    "counter",
    "Requests of one connection; failed: answered by an error of ours, by a 5xx of the store, or by nobody.",
    "connection",
    "outcome",
)
CONNECTION_BYTES: Final = _family(
    "connection_bytes", "counter", "Bytes of one connection, up (to the store) and down.", "connection", "direction"
)
IN_FLIGHT: Final = _family("requests_in_flight", "gauge", "Requests that run or wait.")
QUEUED: Final = _family("requests_queued", "gauge", "Of those, how many wait for a place within the concurrency.")
PARKED: Final = _family("requests_parked", "gauge", "Of those, how many wait for a tunnel.")
CLIENTS: Final = _family("client_connections", "gauge", "Open connections of clients to the gateway.")

AGENTS: Final = _family("agents", "gauge", "Agents that are registered and not revoked, and those online.", "state")
AGENT_TUNNELS: Final = _family(
    "agent_tunnels", "gauge", "Tunnels of each agent that is registered and enabled; 0: it is offline.", "agent"
)
TUNNELS: Final = _family(
    "tunnels", "gauge", "Tunnels by state: ready, or draining once their agent said that it leaves.", "state"
)
ROUND_TRIP: Final = _family(
    "tunnel_round_trip_seconds", "gauge", "The slowest tunnel of each agent, as the agent measured it last.", "agent"
)
CHANNELS: Final = _family("channels", "gauge", "Channels open in tunnels and to Cloud stores, by state.", "state")
TUNNELS_OPENED: Final = _family("tunnels_opened", "counter", "Tunnels that became ready.")
TUNNELS_ENDED: Final = _family(
    "tunnels_ended",
    "counter",
    "Tunnels that ended: drained (said so before), replaced (takeover), evicted (agent revoked, disabled or its token"
    " replaced), lost.",
    "how",
)
FAST_PACKETS: Final = _family(
    "fast_path_packets", "counter", "SSH packets that took the fast path, sent and received.", "direction"
)
DRAINS: Final = _family("tunnel_drains", "counter", "Tunnels that began to drain.")
SSH_LOGINS: Final = _family(
    "ssh_logins",
    "counter",
    "Logins of agents: ok; failed (wrong secret or none in time); full, source_full, penalty, waited (turned away"
    " before the login); disabled, place_taken (turned away after it).",
    "result",
)
SSH_CONNECTIONS: Final = _family(
    "ssh_connections", "gauge", "Connections of agents: open ones, those logging in, those waiting for it.", "state"
)
PANEL_LOGINS: Final = _family(
    "panel_logins", "counter", "Logins of people: ok, refused, throttled (too many failures before).", "result"
)

NOTICES_WAITING: Final = _family("notices_waiting", "gauge", "Deliveries of notices that wait for their target.")
NOTICE_OLDEST: Final = _family(
    "notice_oldest_waiting_seconds", "gauge", "Age of the oldest notice that was not delivered; 0: none waits."
)
NOTICE_DELIVERIES: Final = _family(
    "notice_deliveries", "counter", "Attempts to deliver notices: delivered, failed, given_up.", "result"
)
TEST_OK: Final = _family(
    "connection_test_ok", "gauge", "1 when the newest test of an enabled connection was good, else 0.", "connection"
)
STORE_CERTIFICATE: Final = _family(
    "store_certificate_end_timestamp_seconds",
    "gauge",
    "When the certificate of a connection's store ends, as its newest test saw it.",
    "connection",
)
OWN_CERTIFICATE: Final = _family(
    "certificate_end_timestamp_seconds", "gauge", "When the certificate of a listener of this server ends.", "listener"
)

DATABASE_UP: Final = _family("database_up", "gauge", "1 when the database answered this scrape within 2 s.")
DATABASE_ERRORS: Final = _family(
    "database_errors", "counter", "Statements or connections that the database refused, wrong values not counted."
)
LOOP_LAG: Final = _family(
    "event_loop_lag_seconds", "gauge", "The most that the event loop was late within the last minute."
)
TASKS: Final = _family("tasks", "gauge", "Tasks of the event loop.")
DISK_FREE: Final = _family("data_dir_free_bytes", "gauge", "Free space where the data directory is.")
DISK_SIZE: Final = _family("data_dir_size_bytes", "gauge", "Size of the file system where the data directory is.")
DRAINING: Final = _family("draining", "gauge", "1 while this server leaves.")
BUILD: Final = _family("build_info", "gauge", "Always 1; says the version.", "version", "python")

STANDARD: Final = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
)
"""What prometheus_client says of the process."""
