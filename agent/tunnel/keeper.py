"""The loop that keeps one tunnel alive: attempt, run, wait, again. Nothing remote ever ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from agent.streams import ByteSession
from agent.tunnel.backoff import Backoff
from agent.tunnel.config import TunnelConfig
from agent.tunnel.dial import Dial
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.ending_trail import EndingTrail
from agent.tunnel.link import AgentLink
from agent.tunnel.messages import Drain, Goodbye, Hello
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.ssh import LoginError
from agent.tunnel.state import Event, State, step
from agent.tunnel.text import printable
from agent.tunnel.token import AccessToken, split_server
from agent.tunnel.tunnel_status import TunnelStatus

STUCK_AFTER_S: Final = 30.0
"""Beyond the limit of a state, which is the time that a busy machine may take."""

log = structlog.get_logger("agent")


class TunnelKeeper:
    """One tunnel index. ``on_change`` is called after every change of state."""

    def __init__(
        self,
        index: int,
        config: TunnelConfig,
        token: AccessToken,
        hello: Callable[[int], Hello],
        session_factory: Callable[[bytes], ByteSession],
        dial: Dial,
        backoff: Backoff,
        on_change: Callable[[], None],
    ) -> None:
        self.index = index
        self._config = config
        self._token = token
        self._hello = hello
        self._session_factory = session_factory
        self._dial = dial
        self._backoff = backoff
        self._on_change = on_change
        self.state = State.IDLE
        self.counts: Counter[str] = Counter()
        self.trail = EndingTrail()
        self._loop = asyncio.get_running_loop()
        self._since = self._down_since = self._loop.time()
        self._stopping = False
        self._leaving_for = ""
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._server_turn = 0
        self._link: AgentLink | None = None
        self._server_version = ""
        self._last_ending: Ending | None = None
        self._ended_at = self._since
        self._reported: EndReason | None = None
        self._next_attempt_at: float | None = None

    def __repr__(self) -> str:
        return f"<TunnelKeeper {self.index} {self.state.value}>"

    @property
    def server(self) -> str:
        """The server that is, or will be, tried."""
        return self._token.servers[self._server_turn % len(self._token.servers)]

    async def run(self) -> None:
        """Until ``stop``; only cancellation ends it sooner."""
        self._task = asyncio.current_task()
        try:
            while not self._stopping:
                ending = await self._once()
                if not self._stopping:
                    await self._rest(ending)
        finally:
            self._to(Event.STOP)

    def stop(self) -> None:
        """Make no new attempt and break off one that has not led to a tunnel; one that is up ends by ``leave``."""
        self._stopping = True
        self._wake.set()
        if self._link is None and self._task is not None:
            self._task.cancel()

    def wake(self, *, even_slow: bool = True) -> None:
        """Try now instead of waiting longer: the network came back, settings changed, the machine woke up.

        A tunnel that is up is asked for a sign of life. The backoff begins anew: what failed before says nothing now.
        Without ``even_slow`` one in the slow lane waits on, for what a person must repair.
        """
        if even_slow or self.state is not State.SLOW:
            self._backoff.restart()
            self._wake.set()
        if self._link is not None:
            self._link.challenge(self._config.challenge_s)

    def leave_soon(self, reason: str) -> None:
        """Tell the server, now and of every tunnel that comes up from here on, that this instance leaves soon."""
        self._leaving_for = reason
        if self._link is not None and self.state is State.READY:
            self._link.say(Drain(soft=True, reason=reason))

    async def drain(self, reason: str) -> None:
        """Tell the server to choose this tunnel no more; returns when it has said so, or after a moment."""
        if self._link is not None and self.state in {State.READY, State.DRAINING}:
            self._to(Event.DRAIN)
            await self._link.drain(reason)

    async def leave(self, reason: str, wait_s: float) -> bool:
        """Say bye and close; see ``AgentLink.leave``. True when nothing was cut off."""
        return self._link is None or await self._link.leave(Goodbye.SHUTDOWN, reason, wait_s)

    def greet_again(self) -> None:
        """Tell the server the stores of reloaded settings. Raises ``ControlError`` when they are too many."""
        if self._link is not None and self.state is State.READY:
            self._link.say(self._hello_for(self._link.nonce))

    def status(self) -> TunnelStatus:
        """What ``status`` shows."""
        now = self._loop.time()
        liveness = self._link.liveness if self._link is not None else None
        answered_at = liveness.answered_at if liveness is not None else None
        return TunnelStatus(
            index=self.index,
            state=self.state,
            server=self.server,
            since_s=now - self._since,
            attempts=self.counts[State.CONNECTING.value],
            down_s=now - self._down_since if not self._link_was_up() else None,
            last_ending=self._last_ending,
            last_ending_age_s=now - self._ended_at if self._last_ending is not None else None,
            server_version=self._server_version,
            round_trip_s=liveness.round_trip_s if liveness is not None else None,
            last_answer_age_s=max(0.0, now - answered_at) if answered_at is not None else None,
            open_channels=self._link.open_channels if self._link is not None else 0,
            next_attempt_in_s=max(0.0, self._next_attempt_at - now) if self._next_attempt_at is not None else None,
            acceleration=self._link.acceleration if self._link is not None else None,
        )

    def is_stuck(self) -> bool:
        """True when nothing moves it any more: each of its states has an end, and a tunnel that is up is watched."""
        if self._link is not None:
            return not self._link.is_watched
        config = self._config
        limit_s = {State.CONNECTING: config.connect_timeout_s, State.AUTHENTICATING: config.login_timeout_s}
        due = self._next_attempt_at or max(self._since, self._ended_at) + limit_s.get(self.state, 0.0)
        return self._loop.time() > due + STUCK_AFTER_S

    # -- one tunnel ----------------------------------------------------------------------------------------------

    async def _once(self) -> Ending:
        """One attempt and, when it succeeds, the tunnel's whole life."""
        self._to(Event.DIAL)
        log.debug("tunnel.connecting", index=self.index, server=self.server)
        nonce = secrets.token_hex(16).encode("ascii")
        link = AgentLink(self.server, nonce, self._session_factory, self._config, self._server_drains)
        try:
            return await self._live(link)
        except LoginError as error:
            self._server_turn += 1
            return error.ending
        except Exception as error:  # a defect of ours in one attempt must not end the daemon
            log.exception("tunnel.failed", index=self.index, error=type(error).__name__)
            return Ending(EndReason.DEFECT, f"The attempt failed inside this program ({type(error).__name__}).")
        finally:
            self._link, self._ended_at = None, self._loop.time()
            await link.close()

    async def _live(self, link: AgentLink) -> Ending:
        host, port = split_server(link.server)
        try:
            async with asyncio.timeout(self._config.connect_timeout_s):
                sock = await self._dial(host, port)
        except TimeoutError:
            detail = f"{link.server} did not answer within {self._config.connect_timeout_s:g} s"
            raise LoginError(Ending(EndReason.UNREACHABLE, f"{detail}: check the address and the firewall.")) from None
        except ProxyError as error:
            reason = EndReason.PROXY_REFUSED if error.needs_a_person else EndReason.UNREACHABLE
            raise LoginError(Ending(reason, str(error))) from None
        except OSError as error:
            # asyncio replaces the system's text by its own, which repeats the address; a resolver's errno is negative.
            is_system = not isinstance(error, socket.gaierror) and (error.errno or 0) > 0
            cause = os.strerror(error.errno or 0).lower() if is_system else printable(error.strerror or str(error))
            detail = f"{link.server} cannot be reached ({cause}): check the address, DNS and the firewall."
            raise LoginError(Ending(EndReason.UNREACHABLE, detail)) from None
        self._to(Event.CONNECTED)
        welcome = await link.open(sock, self._token, hello := self._hello_for(link.nonce))
        self._link = link
        self._backoff.ready()
        self._reported = None
        self._server_version = printable(welcome.version)
        self._to(Event.WELCOMED)
        if self._hello_for(link.nonce) != hello:  # a reload, or a pause, while it logged in
            self.greet_again()
        if self._leaving_for:
            self.leave_soon(self._leaving_for)
        fields = {"index": self.index, "server": link.server, "server_version": self._server_version}
        log.info("tunnel.ready", **fields, **link.acceleration.log_fields())
        if welcome.next_pins:
            log.info("tunnel.next_pins", index=self.index, pins=[printable(pin) for pin in welcome.next_pins])
        return await asyncio.shield(link.ended)

    def _hello_for(self, nonce: bytes) -> Hello:
        return self._hello(self.index).model_copy(update={"tunnel_index": self.index, "nonce": nonce.decode("ascii")})

    def _server_drains(self) -> None:
        """The server is about to leave; what runs goes on until it does."""
        if self.state is State.READY:
            self._to(Event.DRAIN)
            log.info("tunnel.draining", index=self.index, server=self.server)

    # -- between two tunnels -------------------------------------------------------------------------------------

    async def _rest(self, ending: Ending) -> None:
        """Report the end and wait for the next attempt, which ``wake`` brings forward."""
        slow = self._backoff.is_slow(ending)
        wait_s = self._backoff.wait_s(ending, slow=slow)
        self._last_ending = ending
        self.trail.take(ending)
        if self._link_was_up():
            self._down_since = self._ended_at
        self._report(ending, wait_s, slow=slow)
        self._wake.clear()
        self._next_attempt_at = self._loop.time() + wait_s
        self._to(Event.ENDED_FOR_A_PERSON if slow else Event.ENDED)
        if not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
        self._next_attempt_at = None

    def _report(self, ending: Ending, wait_s: float, *, slow: bool) -> None:
        """Loud once for each new reason, DEBUG for its repetitions until the tunnel was up again."""
        fields = {
            "index": self.index,
            "server": self.server,
            "reason": ending.reason.value,
            "detail": ending.detail,
            "retry_in_s": round(wait_s, 1),
        }
        event = "tunnel.refused" if slow else "tunnel.lost" if self._link_was_up() else "tunnel.unreachable"
        if ending.reason is self._reported:
            log.debug(event, **fields)
        elif slow:
            log.error(event, **fields)
        elif ending.reason is EndReason.SERVER_LEFT:
            log.info(event, **fields)
        else:
            log.warning(event, **fields)
        self._reported = ending.reason

    def _link_was_up(self) -> bool:
        return self.state in {State.READY, State.DRAINING}

    def _to(self, event: Event) -> None:
        """The only place where the state changes."""
        before, self.state = self.state, step(self.state, event)
        if before is self.state:
            return
        self._since = self._loop.time()
        self.counts[self.state.value] += 1
        log.debug("tunnel.state", index=self.index, before=before.value, after=self.state.value)
        self._on_change()
