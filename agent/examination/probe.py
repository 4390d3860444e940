"""A connection that logs in, says hello as a probe, measures, and never serves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from collections import deque
from typing import Final

import asyncssh

from agent import __version__
from agent.tunnel.algorithms import CONTROL_PACKET_BYTES, CONTROL_WINDOW_BYTES, SUBSYSTEM
from agent.tunnel.config import TunnelConfig
from agent.tunnel.control import AgentControl, ControlStream
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.goodbyes import ending_of
from agent.tunnel.messages import Bye, Heartbeat, HeartbeatAck, Hello, Measure, MeasureAck, Message, Welcome
from agent.tunnel.ssh import PinnedClient, login
from agent.tunnel.token import AccessToken

ROUND_TRIPS: Final = 5
MEASURE_STEP_BYTES: Final = 16 * 1024
MEASURE_MESSAGES: Final = 64
MEASURE_DEPTH: Final = 3
MEASURE_LIMIT_S: Final = 2.0

_BYE_GRACE_S: Final = 0.5


class ProbeEndedError(Exception):
    """The server ended the probe, or broke the protocol; ``ending`` says why."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.detail)
        self.ending = ending


class Probe:
    """One probe. ``login`` first, then ``greet``, then the measures; ``close`` in any case.

    It works beside the running service with the same token: the server never chooses it, and it holds no place.
    """

    def __init__(self, server: str, config: TunnelConfig) -> None:
        self._server = server
        self._config = config
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Ending] = loop.create_future()
        self._welcome: asyncio.Future[Welcome] = loop.create_future()
        self._answers: dict[tuple[type[Message], int], asyncio.Future[None]] = {}
        self._stream = ControlStream(self._message, self._broken)
        self._conn: asyncssh.SSHClientConnection | None = None

    def __repr__(self) -> str:
        return f"<Probe {self._server}>"

    async def login(self, sock: socket.socket, token: AccessToken) -> PinnedClient:
        """Log in over ``sock``, which this call owns. Raises ``LoginError``."""
        self._conn, client = await login(sock, self._server, token, self._config, self._lost)
        return client

    async def greet(self, instance_id: str, timeout_s: float) -> Welcome:
        """Open the control channel, say hello as a probe, and be welcome.

        Raises:
            ProbeEndedError: the server said bye, or ended the connection.
            TimeoutError: it said nothing.
            asyncssh.Error: it grants no control channel.
        """
        if self._conn is None:
            raise ProbeEndedError(Ending(EndReason.OWN_WISH))
        async with asyncio.timeout(timeout_s):
            await self._conn.create_session(
                lambda: AgentControl(self._stream),
                subsystem=SUBSYSTEM,
                encoding=None,
                request_pty=False,
                window=CONTROL_WINDOW_BYTES,
                max_pktsize=CONTROL_PACKET_BYTES,
            )
            self._stream.send(
                Hello(version=__version__, instance_id=instance_id, host=socket.gethostname()[:255], kind="probe")
            )
            await self._or_ended(self._welcome)
        return self._welcome.result()

    async def round_trips_s(self, timeout_s: float) -> tuple[float, ...]:
        """How long each of a few heartbeats took. Raises as ``greet``."""
        taken: list[float] = []
        async with asyncio.timeout(timeout_s):
            for sequence in range(1, ROUND_TRIPS + 1):
                began = time.monotonic()
                answer = self._expect(HeartbeatAck, sequence)
                self._stream.send(Heartbeat(sequence=sequence))
                await self._or_ended(answer)
                taken.append(time.monotonic() - began)
        return tuple(taken)

    async def throughput_bytes_per_s(self, round_trip_s: float) -> float | None:
        """Bytes a second towards the server, at least; None when it does not answer (a server of before).

        48 KiB are under way at a time, so that the control channel's window of 64 KiB never fills and the channel is
        not taken for one that nobody reads, until 1 MiB has arrived or 2 s have passed. So it is a hint: over a round
        trip of 100 ms no more than about 480 kB/s can be seen, whatever the line could carry.
        """
        waiting: deque[asyncio.Future[None]] = deque()
        sent = arrived = 0
        began = arrived_at = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEASURE_LIMIT_S):
                while arrived < MEASURE_MESSAGES:
                    while sent < min(arrived + MEASURE_DEPTH, MEASURE_MESSAGES):
                        sent += 1
                        waiting.append(self._expect(MeasureAck, sent))
                        self._stream.send(Measure(sequence=sent, padding="0" * MEASURE_STEP_BYTES))
                    await self._or_ended(waiting.popleft())
                    arrived, arrived_at = arrived + 1, time.monotonic()
        if not arrived:
            return None
        # The last answer's way back is no sending.
        return arrived * MEASURE_STEP_BYTES / max(arrived_at - began - round_trip_s / 2, 1e-4)

    async def close(self) -> None:
        """Say bye and leave."""
        if self._conn is None:
            return
        if not self._ended.done() and self._stream.send(Bye(reason="the examination is over")):
            self._stream.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BYE_GRACE_S):
                    await self._conn.wait_closed()
        self._conn.abort()
        await self._conn.wait_closed()

    @staticmethod
    def median_s(taken: tuple[float, ...]) -> float:
        """The middle one of some round trips."""
        return statistics.median(taken)

    def _expect(self, kind: type[Message], sequence: int) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers[kind, sequence] = answer
        return answer

    async def _or_ended(self, answer: asyncio.Future[None] | asyncio.Future[Welcome]) -> None:
        await asyncio.wait({answer, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ProbeEndedError(self._ended.result())

    def _message(self, message: Message) -> None:
        if isinstance(message, Welcome):
            if not self._welcome.done():
                self._welcome.set_result(message)
        elif isinstance(message, HeartbeatAck | MeasureAck):
            answer = self._answers.pop((type(message), message.sequence), None)
            if answer is not None and not answer.done():
                answer.set_result(None)
        elif isinstance(message, Bye):
            self._end(ending_of(message, self._server, None))

    def _broken(self, sentence: str) -> None:
        self._end(Ending(EndReason.PROTOCOL, f"The server at {self._server}: {sentence}"))

    def _lost(self, error: Exception | None) -> None:
        self._end(Ending(EndReason.LOST, f"The connection to {self._server} broke ({type(error).__name__})."))

    def _end(self, ending: Ending) -> None:
        if not self._ended.done():
            self._ended.set_result(ending)
