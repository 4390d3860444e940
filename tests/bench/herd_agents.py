"""Many agents in one process: the product's supervisors with real tokens. Started and told what to do by ``herd.py``.

Standard input brings one JSON order per line, standard output one JSON answer each; end of input ends the process.
All times are CLOCK_MONOTONIC, which the processes of one machine share.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import structlog
import uvloop

from agent.log import configure_logging
from agent.policy import Rule
from agent.store_url import Store
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.config import TunnelConfig
from agent.tunnel.dial import Dial
from agent.tunnel.messages import Grant, Hello
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import parse_token
from tests.kit.ssh_servers import EchoSession

SHOP = Store("http", "shop.test", 80, "/")
log = structlog.get_logger("agent")


@dataclass
class Timeline:
    """What happened since the last mark, in monotonic seconds, and how attempts and tunnels ended."""

    attempts: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    logging_in_max: int = 0
    back: set[tuple[int, int]] = field(default_factory=set)
    group_ready: dict[str, list[float]] = field(default_factory=dict)


class Herd:
    """All agents of this process."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._agents: list[dict[str, Any]] = order["agents"]
        # A phase follows the other within seconds: what was READY before it must count as stable.
        self._config = TunnelConfig(tunnels=order["tunnels"], backoff=BackoffLimits(reset_after_s=1.0))
        self._randomness = random.Random(order["seed"])
        self._batch: int = order["batch"]
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._states: dict[tuple[int, int], State] = {}
        self._supervisors: list[Supervisor] = []
        self._running: list[asyncio.Task[None]] = []
        self._timeline = Timeline()
        self._logging_in = 0
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Start all agents, ``batch`` at a time, so that the first connections measure logins and not the crowd."""
        self._timeline = Timeline()
        for number, agent in enumerate(self._agents):
            while number * self._config.tunnels - len(self._timeline.back) >= self._batch:
                await self._next_change()
            self._add(number, agent)
        await self.wait(60)

    def mark(self) -> None:
        """Begin to count anew."""
        self._timeline = Timeline(logging_in_max=self._logging_in)

    async def wait(self, timeout_s: float) -> None:
        """Until every tunnel came to READY since the mark, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while len(self._timeline.back) < len(self._agents) * self._config.tunnels:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    await self._next_change()
            except TimeoutError:
                return

    def cut(self) -> None:
        """The network between all agents and the server breaks: both ends see their connections end at once."""
        for sock in tuple(self._sockets):
            if sock.fileno() >= 0:
                sock.shutdown(socket.SHUT_RDWR)

    def report(self) -> dict[str, Any]:
        """What happened since the mark."""
        timeline = self._timeline
        return {
            "attempts": timeline.attempts,
            "ready": timeline.ready,
            "lost": timeline.lost,
            "groups": timeline.group_ready,
            "endings": dict(timeline.endings),
            "logging_in_max": timeline.logging_in_max,
            "missing": len(self._agents) * self._config.tunnels - len(timeline.back),
        }

    async def close(self) -> None:
        """End all agents without a word."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _add(self, number: int, agent: dict[str, Any]) -> None:
        instance = str(uuid.uuid4())
        grants = [Grant.from_rule(Rule(SHOP))]
        for index in range(self._config.tunnels):
            self._states[number, index] = State.IDLE
        supervisor = Supervisor(
            self._config,
            parse_token(agent["token"]),
            lambda index: Hello(version="9.9", instance_id=instance, host=f"shop-{number}", stores=grants),
            lambda nonce: EchoSession(),
            dial=self._dial_from(agent["address"]),
            randomness=self._randomness.random,
            on_change=lambda: self._look(number, agent["group"]),
        )
        self._supervisors.append(supervisor)
        self._running.append(asyncio.create_task(supervisor.run(), name=f"agent-{number}"))

    def _dial_from(self, address: str) -> Dial:
        """A dialer whose connections come from ``address``, as those of an agent in another network would."""

        async def dial(host: str, port: int) -> socket.socket:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                sock.bind((address, 0))
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
            except BaseException:
                sock.close()
                raise
            self._sockets.add(sock)
            return sock

        return dial

    def _look(self, number: int, group: str) -> None:
        """A tunnel of this agent changed its state."""
        now = time.monotonic()
        for status in self._supervisors[number].status():
            key = (number, status.index)
            before, self._states[key] = self._states[key], status.state
            if status.state is not before:
                self._note(now, key, group, before, status.state, status.last_ending)
        self._changed.set()

    def _note(self, now: float, key: tuple[int, int], group: str, before: State, state: State, ending: Any) -> None:
        timeline = self._timeline
        self._logging_in += (state is State.AUTHENTICATING) - (before is State.AUTHENTICATING)
        timeline.logging_in_max = max(timeline.logging_in_max, self._logging_in)
        if state is State.CONNECTING:
            timeline.attempts.append(now)
        elif state is State.READY:
            timeline.ready.append(now)
            timeline.group_ready.setdefault(group, []).append(now)
            timeline.back.add(key)
        elif state in (State.WAITING, State.SLOW):
            timeline.endings[f"{before.value}: {ending.reason.value}"] += 1
            if before in (State.READY, State.DRAINING):
                timeline.lost.append(now)

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


async def main() -> None:
    """Obey until the end of input."""
    herd: Herd | None = None
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        answer: dict[str, Any] = {}
        if herd is None:
            herd = Herd(order)
        elif order["do"] == "start":
            await herd.start()
            answer = herd.report()
        elif order["do"] == "mark":
            herd.mark()
        elif order["do"] == "cut":
            herd.mark()
            herd.cut()
        elif order["do"] == "wait":
            await herd.wait(order["timeout_s"])
            answer = herd.report()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    if herd is not None:
        await herd.close()


if __name__ == "__main__":
    configure_logging("critical", False)
    uvloop.run(main())
