"""All tunnels of one agent: as many keepers as the settings ask for, started, drained and ended together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from agent.streams import ByteSession
from agent.tunnel.backoff import Backoff
from agent.tunnel.clock_watch import LOOK_EVERY_S, Clocks, ClockWatch
from agent.tunnel.config import TunnelConfig
from agent.tunnel.dial import Dial, dial
from agent.tunnel.ending_trail import EndingTrail
from agent.tunnel.keeper import TunnelKeeper
from agent.tunnel.messages import Hello
from agent.tunnel.state import State
from agent.tunnel.token import AccessToken
from agent.tunnel.tunnel_status import TunnelStatus

__all__ = ["Supervisor", "TunnelConfig", "TunnelStatus"]

log = structlog.get_logger("agent")

DRAIN_POLL_S = 0.02


class Supervisor:
    """Keeps ``config.tunnels`` tunnels up; to be made inside the event loop.

    ``hello(index)`` gives what this instance says of itself (index and nonce are filled in here);
    ``session_factory(nonce)`` makes the session of a channel, ``nonce`` being ASCII hexadecimal and new for each
    connection; ``in_flight`` counts the exchanges that run in all of them. ``dial`` may go through a proxy.
    """

    def __init__(
        self,
        config: TunnelConfig,
        token: AccessToken,
        hello: Callable[[int], Hello],
        session_factory: Callable[[bytes], ByteSession],
        *,
        in_flight: Callable[[], int] | None = None,
        dial: Dial = dial,
        randomness: Callable[[], float] = random.random,
        on_change: Callable[[], None] | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self._in_flight = in_flight
        self._changed = asyncio.Event()
        self.has_ended = False
        self._on_change = on_change
        self._clocks = clocks or Clocks()
        self._keepers = tuple(
            TunnelKeeper(
                index,
                config,
                token,
                hello,
                session_factory,
                dial,
                Backoff(config.backoff, clock, randomness),
                self._change,
            )
            for index in range(config.tunnels)
        )

    def __repr__(self) -> str:
        return f"<Supervisor {' '.join(keeper.state.value for keeper in self._keepers)}>"

    @property
    def is_ready(self) -> bool:
        """True while at least one tunnel is up and not draining."""
        return any(keeper.state is State.READY for keeper in self._keepers)

    async def run(self) -> None:
        """Keep the tunnels up until ``drain`` or cancellation; nothing remote ends it."""
        watching = asyncio.create_task(self._watch_clocks(), name="clock-watch")
        try:
            async with asyncio.TaskGroup() as group:
                for keeper in self._keepers:
                    group.create_task(keeper.run(), name=f"tunnel-{keeper.index}")
        finally:
            self.has_ended = True
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def wait_for(self, condition: Callable[[Supervisor], bool]) -> None:
        """Wait until ``condition`` holds; looked at after every change of a tunnel's state."""
        while not condition(self):
            self._changed.clear()
            await self._changed.wait()

    def leave_soon(self, reason: str) -> None:
        """Ask the server to choose these tunnels only where nobody else can serve; ``drain`` is to follow."""
        for keeper in self._keepers:
            keeper.leave_soon(reason)

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new, let what runs finish (``timeout_s`` at most), say bye, close; ``run`` then returns.

        True when nothing was cut off.
        """
        for keeper in self._keepers:
            keeper.stop()
        await asyncio.gather(*(keeper.drain("the agent is stopping") for keeper in self._keepers))
        deadline = asyncio.get_running_loop().time() + timeout_s
        finished = await self._wait_idle(deadline)
        if not finished:
            log.warning("tunnel.drain_incomplete", in_flight=self._in_flight() if self._in_flight else None)
        left_s = deadline - asyncio.get_running_loop().time()
        leaving = [keeper.leave("the agent is stopping", left_s) for keeper in self._keepers]
        return all(await asyncio.gather(*leaving)) and finished

    def wake(self, *, even_slow: bool = True) -> None:
        """Try at once wherever a keeper is waiting, and ask every tunnel that is up for a sign of life."""
        for keeper in self._keepers:
            keeper.wake(even_slow=even_slow)

    def refresh(self) -> None:
        """Say hello again after a reload, so that the server knows the new stores; no exchange is disturbed.

        Raises ``ControlError`` when they do not fit into one message.
        """
        for keeper in self._keepers:
            keeper.greet_again()

    def stuck(self) -> str:
        """Which tunnel should have moved on long ago, "" when none: a defect of ours, that only a new start ends."""
        return next((f"tunnel-{keeper.index}" for keeper in self._keepers if keeper.is_stuck()), "")

    def status(self) -> tuple[TunnelStatus, ...]:
        """One entry per tunnel."""
        return tuple(keeper.status() for keeper in self._keepers)

    def trails(self) -> tuple[EndingTrail, ...]:
        """How tunnels ended, one entry per tunnel."""
        return tuple(keeper.trail for keeper in self._keepers)

    async def _wait_idle(self, deadline: float) -> bool:
        """Until no exchange runs. The count belongs to the forwarder and has no event, so it is looked at."""
        in_flight = self._in_flight
        if in_flight is None:
            return True
        loop = asyncio.get_running_loop()
        while in_flight() and loop.time() < deadline:  # noqa: ASYNC110 - see above
            await asyncio.sleep(DRAIN_POLL_S)
        return not in_flight()

    async def _watch_clocks(self) -> None:
        """A suspend, a stall or a jump of the clock may have killed every link without a word."""
        watch = ClockWatch(self._clocks)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            found = watch.look()
            if found is not None:
                disturbance, seconds = found
                log.info("clock.disturbed", what=disturbance.value, seconds=round(seconds, 1))
                self.wake()

    def _change(self) -> None:
        self._changed.set()
        if self._on_change is not None:
            self._on_change()
