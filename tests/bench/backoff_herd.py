"""The waits of very many agents, simulated: the product's ``Backoff`` with a clock and randomness of its own, no I/O.

At 0 s all agents lose the server in the same instant, as by ``kill -9``. It comes back after a while and logs in so
many agents a second; what comes while its line is full is refused, as ``agent.server.doorkeeper`` does.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from agent.server.doorkeeper import DoorLimits
from agent.server.ssh_config import SshConfig
from agent.tunnel.backoff import Backoff, BackoffLimits
from agent.tunnel.ending import Ending, EndReason
from tests.bench.herd_table import percentile, table

LOGINS_PER_S = 400
SLICES_PER_S = 100
FIRST_MINUTE_S = 60
GIVE_UP_S = 24 * 3600.0

LOST = Ending(EndReason.LOST)
REFUSED = Ending(EndReason.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One simulated outage. Peaks are attempts a second, over the busiest whole second and the busiest 10 ms (scaled).

    ``back_..._s`` count from the return of the server; ``ideal_s`` is how long the logins take without any pause.
    """

    name: str
    agents: int
    outage_s: float
    ideal_s: float
    attempts_per_agent: float
    first_minute_peak: int
    first_minute_peak_10ms: int
    return_peak: int
    return_peak_10ms: int
    back_50_s: float
    back_90_s: float
    back_99_s: float
    back_all_s: float


@dataclass(frozen=True, slots=True)
class Outage:
    """What happens to the herd.

    ``line`` is how many the server lets in or wait at a time before it refuses. ``planned``: it says when to come back.
    """

    name: str
    away_s: float
    logins_per_s: float = LOGINS_PER_S
    line: int = DoorLimits().total_max + DoorLimits().waiting_max
    planned: bool = False
    jitter: bool = True


_ROWS = (
    Outage("gone 5 s", 5),
    Outage("gone 60 s", 60),
    Outage("gone 15 min", 900),
    Outage("planned, gone 5 s", 5, planned=True),
    Outage("gone 60 s, without jitter", 60, jitter=False),
)


class _Clock:
    """Simulated seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(agents: int, outage: Outage, chance: Callable[[], float]) -> Outcome:
    """Run one outage to its end; ``chance`` is the randomness of all agents: 0 <= x < 1."""
    clock = _Clock()
    limits = BackoffLimits()
    waits = [Backoff(limits, clock, chance) for _ in range(agents)]
    ending = _asked_back if outage.planned else _lost
    arriving = [(wait.wait_s(ending(number), slow=False), number) for number, wait in enumerate(waits)]
    heapq.heapify(arriving)
    slices: Counter[int] = Counter()
    back: list[float] = []
    line_s = outage.line / outage.logins_per_s
    free_at = outage.away_s  # when the server will have served all whom it took
    while arriving and clock.now < GIVE_UP_S:
        clock.now, number = arriving[0]
        slices[int(clock.now * SLICES_PER_S)] += 1
        if clock.now >= outage.away_s and free_at - clock.now < line_s:
            heapq.heappop(arriving)
            free_at = max(free_at, clock.now) + 1 / outage.logins_per_s
            back.append(free_at - outage.away_s)
        else:
            heapq.heapreplace(arriving, (clock.now + waits[number].wait_s(REFUSED, slow=False), number))
    after = {at: count for at, count in slices.items() if at >= outage.away_s * SLICES_PER_S}
    first = {at: count for at, count in slices.items() if at < FIRST_MINUTE_S * SLICES_PER_S}
    return Outcome(
        name=outage.name,
        agents=agents,
        outage_s=outage.away_s,
        ideal_s=round(agents / outage.logins_per_s, 1),
        attempts_per_agent=round(slices.total() / agents, 1),
        first_minute_peak=_busiest(first, SLICES_PER_S),
        first_minute_peak_10ms=_busiest(first, 1),
        return_peak=_busiest(after, SLICES_PER_S),
        return_peak_10ms=_busiest(after, 1),
        back_50_s=_back(back, agents, 0.5),
        back_90_s=_back(back, agents, 0.9),
        back_99_s=_back(back, agents, 0.99),
        back_all_s=_back(back, agents, 1.0),
    )


def outcomes(agents: int, seed: int) -> list[Outcome]:
    """The outages of the table, two at a time: a process is one core."""
    with ProcessPoolExecutor(2) as pool:
        # The longest first.
        running = {row: pool.submit(_outcome, row, agents, seed) for row in sorted(_ROWS, key=lambda row: -row.away_s)}
        return [running[row].result() for row in _ROWS]


def _outcome(row: Outage, agents: int, seed: int) -> Outcome:
    if row.jitter:
        return simulate(agents, row, random.Random(seed).random)
    # A tenth of them: it takes long, since in lock-step nearly all are refused each time.
    return simulate(agents // 10, row, _never_by_chance)


def _never_by_chance() -> float:
    """Every wait is its bound: what waits without jitter do."""
    return 1 - 2**-53


def _lost(number: int) -> Ending:
    return LOST


def _asked_back(number: int) -> Ending:
    """As ``SshEndpoint.close`` says it: a second, and after that at the rate at which agents are asked back."""
    return Ending(EndReason.SERVER_LEFT, hint_s=1 + number / SshConfig().returns_per_s)


def render_outcomes(simulated: Sequence[Outcome]) -> str:
    """A table for a person."""
    head = (
        *(
            "",
            "agents",
            "ideal s",
            "attempts each",
            "1st minute: peak/s",
            "in 10 ms",
            "after return: peak/s",
            "in 10 ms",
        ),
        *("50 % back s", "90 %", "99 %", "all"),
    )
    rows = [
        (
            *(
                each.name,
                each.agents,
                each.ideal_s,
                each.attempts_per_agent,
                each.first_minute_peak,
                each.first_minute_peak_10ms,
            ),
            *(each.return_peak, each.return_peak_10ms, each.back_50_s, each.back_90_s, each.back_99_s, each.back_all_s),
        )
        for each in simulated
    ]
    title = f"Simulated agents with one tunnel each, {LOGINS_PER_S} logins a second"
    return f"{title}\n\n{table([head, *(tuple(str(cell) for cell in row) for row in rows)])}"


def _busiest(slices: dict[int, int], width: int) -> int:
    """Attempts a second in the busiest ``width`` slices, aligned to them."""
    wide: Counter[int] = Counter()
    for at, count in slices.items():
        wide[at // width] += count
    return max(wide.values(), default=0) * SLICES_PER_S // width


def _back(back: Sequence[float], agents: int, share: float) -> float:
    """When ``share`` of the agents were back; not a number when they never were."""
    return round(percentile(back, share), 1) if len(back) >= share * agents else float("nan")
