"""A herd of agents that loses its server and comes back. ``make herd`` runs it; no part of the test suite.

    python -m tests.bench.herd --agents 500 --json

The server is ``integration-server serve``; the agents are the product's supervisors in client processes, each with a
registration, an access token and a source address (127.x.y.z) of its own, but some that share one, as behind a NAT.
CPU per login is the figure to trust; times depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import uvloop

from tests.bench.backoff_herd import outcomes, render_outcomes
from tests.bench.herd_processes import Clients, Server, Usage
from tests.bench.herd_table import Idle, Phase, render

CUTS = 3
LOGGING_IN_AT_A_TIME = 32


class Run:
    """One herd and its server."""

    def __init__(self, options: argparse.Namespace, server: Server, clients: Clients) -> None:
        self.phases: list[Phase] = []
        self.idle: Idle | None = None
        self._options = options
        self._server = server
        self._clients = clients
        self._empty = Usage(0, 0, 0)

    async def go(self) -> None:
        """All phases."""
        await self._server.start()
        tokens = await self._server.register(self._options.agents)
        await self._server.stop(signal.SIGTERM)
        await self._server.start()  # a new process, so that the memory of making agents does not count
        self._empty = self._server.usage()
        await self._populate(tokens)
        await self._phase("first connection", self._connect)
        await self._rest()
        for number in range(1, CUTS + 1):
            await self._phase(f"network cut, {number}", self._cut)
        await self._phase("SIGTERM and back", lambda: self._restart(signal.SIGTERM))
        await self._phase("kill -9 and back", lambda: self._restart(signal.SIGKILL))
        away_s = self._options.away
        await self._phase(f"kill -9, gone {away_s:g} s", lambda: self._restart(signal.SIGKILL, away_s))

    async def _populate(self, tokens: list[str]) -> None:
        """Spread the agents over the client processes; the last ``--nat`` of them share one address."""
        first_natted = len(tokens) - min(self._options.nat, len(tokens))
        agents = [
            {
                "token": token,
                "address": f"127.9.{number // 250}.{number % 250 + 1}" if number < first_natted else "127.77.0.1",
                "group": "own" if number < first_natted else "nat",
            }
            for number, token in enumerate(tokens)
        ]
        processes = self._options.processes
        for part in range(processes):
            order = {
                "agents": agents[part::processes],
                "tunnels": self._options.tunnels,
                "seed": self._options.seed + part,
                "batch": LOGGING_IN_AT_A_TIME // processes,
            }
            await self._clients.add(order, self._server.data_dir.parent)

    # -- what happens to the herd: each returns the seconds for which there was no server ---------------------------

    async def _connect(self) -> float:
        await self._clients.tell("start")
        return 0.0

    async def _cut(self) -> float:
        await self._clients.tell("cut")
        return 0.0

    async def _restart(self, number: signal.Signals, away_s: float = 0.0) -> float:
        await self._clients.tell("mark")
        began = time.monotonic()
        await self._server.stop(number)
        await asyncio.sleep(max(0.0, away_s - (time.monotonic() - began)))  # the outage itself
        await self._server.start()
        return time.monotonic() - began

    async def _phase(self, name: str, happens: Callable[[], Awaitable[float]]) -> None:
        phase = Phase(name, self._options.agents * self._options.tunnels)
        pid = self._server.process.pid
        usage, agents_usage, door = self._server.usage(), self._clients.usage(), await self._server.door()
        began = time.monotonic()
        phase.away_s = round(await happens(), 2)
        phase.take(await self._clients.tell("wait", timeout_s=self._options.patience), began)
        if self._server.process.pid != pid:  # a new process began at nothing
            usage, door = self._empty, {}
        now, agents_now = self._server.usage(), self._clients.usage()
        logins = max(phase.tunnels - phase.missing, 1)
        phase.server_ms_per_login = round((now.cpu_s - usage.cpu_s) * 1000 / logins, 2)
        phase.agents_ms_per_login = round((agents_now.cpu_s - agents_usage.cpu_s) * 1000 / logins, 2)
        door_now = await self._server.door()
        phase.inside_max, phase.waiting_max = door_now["inside_max"], door_now["waiting_max"]
        before = door.get("turned_away", {})
        phase.refusals = {
            reason: count - before.get(reason, 0)
            for reason, count in door_now["turned_away"].items()
            if count > before.get(reason, 0)
        }
        phase.turned_away = sum(phase.refusals.values())
        phase.resident_mb, phase.files = round(now.resident_kb / 1024, 1), now.files
        self.phases.append(phase)
        say(f"{name}: {phase.tunnels - phase.missing} of {phase.tunnels} back after {phase.back_all_s} s")
        await asyncio.sleep(self._options.settle)  # until the tunnels count as stable, see herd_agents

    async def _rest(self) -> None:
        """Nothing happens, which is what is measured."""
        pause_s = self._options.idle
        usage, agents_usage = self._server.usage(), self._clients.usage()
        await asyncio.sleep(pause_s)
        now, agents_now = self._server.usage(), self._clients.usage()
        self.idle = Idle(
            pause_s,
            self._options.agents * self._options.tunnels,
            round((now.cpu_s - usage.cpu_s) / pause_s * 100, 2),
            round((agents_now.cpu_s - agents_usage.cpu_s) / pause_s * 100, 2),
            round((now.resident_kb - self._empty.resident_kb) / self._options.agents, 1),
            round(self._empty.resident_kb / 1024, 1),
            round(now.resident_kb / 1024, 1),
        )
        say(f"idle: server {self.idle.server_cpu_percent} % of a core, {self.idle.server_kb_per_agent} kB per agent")


def say(line: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="herd", description="Agents that lose their server and come back.")
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--tunnels", type=int, default=2, help="per agent")
    parser.add_argument("--nat", type=int, default=100, help="so many of the agents share one source address")
    parser.add_argument("--processes", type=int, default=2, help="client processes")
    parser.add_argument("--away", type=float, default=10.0, help="seconds without a server in the last phase")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of rest")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for all to be back")
    parser.add_argument("--settle", type=float, default=1.5, help="seconds between phases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--simulated", type=int, default=100_000, help="agents in the simulation of the waits; 0: none")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args()


async def herd(options: argparse.Namespace) -> Run:
    """The real one."""
    with tempfile.TemporaryDirectory(prefix="herd-") as place:
        server = Server(Path(place) / "server")
        try:
            async with Clients() as clients:
                run = Run(options, server, clients)
                await run.go()
        finally:
            await server.end()
    return run


def main() -> int:
    """All of it; 1 when somebody did not come back."""
    options = arguments()
    run = uvloop.run(herd(options))
    say(f"simulating {options.simulated} agents" if options.simulated else "no simulation")
    simulated = outcomes(options.simulated, options.seed) if options.simulated else []
    if options.json:
        document = {
            "agents": options.agents,
            "phases": [asdict(phase) for phase in run.phases],
            "idle": asdict(run.idle) if run.idle is not None else None,
            "simulated": [asdict(outcome) for outcome in simulated],
        }
        print(json.dumps(document, indent=1))
    else:
        print(
            f"{options.agents} agents with {options.tunnels} tunnels each, {options.nat} of them behind one address,"
            f" in {options.processes} client processes\n\n{render(run.phases, run.idle)}"
        )
        if simulated:
            print(f"\n{render_outcomes(simulated)}")
    return 1 if any(phase.missing for phase in run.phases) else 0


if __name__ == "__main__":
    sys.exit(main())
