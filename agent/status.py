"""What an agent says of itself to ``prestashop-agent status``. Pure: values only, and how they become JSON.

Times are seconds, sizes bytes, round trips milliseconds; nothing here is a secret.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from agent.past import PastEndingReport, PastExchangeReport
from agent.pause import Pause
from agent.process_report import ProcessReport
from agent.tunnel.ending import Ending
from agent.tunnel.proxy_route import ProxyRoute
from agent.tunnel.token import split_server
from agent.tunnel.tunnel_status import TunnelStatus


@dataclass(frozen=True, slots=True)
class EndingReport:
    """Why a tunnel, or the last attempt at one, ended: a stable name and a sentence."""

    reason: str
    detail: str

    @classmethod
    def of(cls, ending: Ending | None) -> EndingReport | None:
        """None when nothing has ended yet."""
        return cls(ending.reason.value, ending.detail) if ending is not None else None


@dataclass(frozen=True, slots=True)
class TunnelReport:
    """One tunnel: ``state`` since ``since_s``, at ``server`` after so many ``attempts``.

    ``proxy`` leads there and names who said so, never with its login; None: reached without one. ``fast_path`` is None
    while no tunnel is up; ``fast_path_reason`` says why it is off, and the packets are those of this tunnel.
    """

    index: int
    state: str
    server: str
    server_version: str
    since_s: float
    attempts: int
    round_trip_ms: float | None
    last_heartbeat_age_s: float | None
    open_channels: int
    down_s: float | None
    last_ending: EndingReport | None
    last_ending_age_s: float | None
    next_attempt_in_s: float | None
    proxy: str | None
    fast_path: bool | None
    fast_path_reason: str | None
    fast_path_packets_sent: int
    fast_path_packets_received: int

    @classmethod
    def of(cls, status: TunnelStatus, route: ProxyRoute | None) -> TunnelReport:
        """As the keeper sees it; ``route`` is what the settings say now, and what the next attempt takes."""
        fast = status.acceleration
        is_proxied = route is not None and route.leads_to(*split_server(status.server))
        return cls(
            index=status.index,
            state=status.state.value,
            server=status.server,
            server_version=status.server_version,
            since_s=round(status.since_s, 3),
            attempts=status.attempts,
            round_trip_ms=round(status.round_trip_s * 1000, 3) if status.round_trip_s is not None else None,
            last_heartbeat_age_s=_rounded(status.last_answer_age_s),
            open_channels=status.open_channels,
            down_s=_rounded(status.down_s),
            last_ending=EndingReport.of(status.last_ending),
            last_ending_age_s=_rounded(status.last_ending_age_s),
            next_attempt_in_s=_rounded(status.next_attempt_in_s),
            proxy=str(route) if is_proxied else None,
            fast_path=fast.path is not None if fast is not None else None,
            fast_path_reason=(fast.reason or None) if fast is not None else None,
            fast_path_packets_sent=fast.packets_sent if fast is not None else 0,
            fast_path_packets_received=fast.packets_received if fast is not None else 0,
        )


@dataclass(frozen=True, slots=True)
class ExchangesReport:
    """Exchanges that run, and those that ended since the start; ``failed`` ones had no whole answer of a store."""

    in_flight: int
    ended: int
    failed: int


@dataclass(frozen=True, slots=True)
class StoreConnections:
    """Connections to a store: ``busy`` with an exchange or being opened, or ``idle``."""

    idle: int
    busy: int


@dataclass(frozen=True, slots=True)
class StoreReport:
    """A store that is open, by its webservice's address, the connections to it, and its exchanges since the start.

    ``store`` is its name in the log: two shops of a multistore may share the address. Bytes are of ended exchanges.
    ``paused`` (Unix seconds) holds everything back; ``limited`` counts the requests that were over
    ``max_requests_per_minute``.
    """

    url: str
    methods: tuple[str, ...]
    idle: int
    busy: int
    store: str
    in_flight: int
    ended: int
    failed: int
    bytes_to_store: int
    bytes_from_store: int
    paused: Pause | None
    max_requests_per_minute: int | None
    limited: int


@dataclass(frozen=True, slots=True)
class AgentReport:
    """The whole report.

    ``state`` is ``starting``, ``ready`` (a tunnel is up), ``connecting`` (none is), ``refused`` (none is, and a person
    must act for each) or ``draining`` (told to stop); ``sessions`` are the open channels of all tunnels. What is
    ``last_...`` begins with the youngest. ``is_alive`` is False when nothing would connect again.
    """

    version: str
    pid: int
    instance_id: str
    agent_id: str
    uptime_s: float
    state: str
    exchanges: ExchangesReport
    sessions: int
    store_connections: StoreConnections
    tunnels: tuple[TunnelReport, ...]
    stores: tuple[StoreReport, ...]
    process: ProcessReport
    is_alive: bool
    loop_lag_ms: float
    last_exchanges: tuple[PastExchangeReport, ...]
    last_failures: tuple[PastExchangeReport, ...]
    last_endings: tuple[PastEndingReport, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they go over the socket."""
        return asdict(self)


def _rounded(seconds: float | None) -> float | None:
    return round(seconds, 3) if seconds is not None else None
