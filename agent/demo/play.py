"""Plays the demo from the first process to the last: the composition root of ``prestashop-agent demo``."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from agent.cli.extra import INSTALL_SERVER, missing_server_libraries
from agent.demo.advice import advise
from agent.demo.client import Answer, GatewayClient, Request
from agent.demo.failure import DemoError
from agent.demo.look import choose_look
from agent.demo.place import Place
from agent.demo.script import Outcome, Script
from agent.demo.show import Show
from agent.demo.stage import Stage
from agent.demo.trail import Trail

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CAUSE_PATIENCE_S: Final = 0.5
_FOLLOW_EVERY_S: Final = 0.1
_EXIT_READER_GONE: Final = 1
_AGENT_NAME: Final = "demo-agent"
_CONNECTION_NAME: Final = "Demo"

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Options:
    """``once``: leave after the transcript; ``plain``: no colours, no moving; ``keep``: leave the directory."""

    once: bool = False
    plain: bool = False
    keep: bool = False


def play_demo(options: Options) -> int:
    """Play it; the exit code. Raises DemoError, one sentence, when something goes wrong."""
    if missing := missing_server_libraries():
        raise DemoError(
            f"The demo runs an integration server too, and its libraries are not installed ({missing}): "
            f"{INSTALL_SERVER}."
        )
    show = Show(choose_look(sys.stdout, os.environ, plain=options.plain), sys.stdout, sys.stderr)
    place = Place(keep=options.keep)
    try:
        with place:
            code = asyncio.run(_Play(options, place, show).run())
        left = f"{place.root} was kept." if options.keep else f"{place.root} is removed."
        show.ended(f"Agent, integration server and sample store have ended.\n{left}")
    except DemoError as error:
        show.log_ends(error.log_ends)
        if options.keep:
            show.ended(f"{place.root} was kept.")
        raise
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        # Whoever read the transcript has gone (a pipe, a closed terminal): nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_READER_GONE
    return code


class _Play:
    """One run in the directory ``place``."""

    def __init__(self, options: Options, place: Place, show: Show) -> None:
        self._options = options
        self._place = place
        self._show = show
        self._hurry = asyncio.Event()
        self._is_up = False

    async def run(self) -> int:
        """Act until done, until a process ends, or until told to stop; then end everything in order."""
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[signal.Signals] = loop.create_future()

        def on_signal(number: signal.Signals) -> None:
            if stop.done():
                self._hurry.set()
            else:
                stop.set_result(number)

        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal, number)
        stage = Stage(self._place, self._show.actor_changed)
        acting = asyncio.create_task(self._act(stage), name="act")
        losing = asyncio.create_task(stage.first_end(), name="first end")
        try:
            waited: list[asyncio.Future[Any]] = [acting, losing, stop]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                return 0 if self._is_up else 128 + stop.result()
            if losing.done():
                raise losing.result()
            return await self._outcome(acting, losing, stage)
        finally:
            acting.cancel()
            losing.cancel()
            await asyncio.gather(acting, losing, return_exceptions=True)
            self._show.close()
            await stage.end(self._hurry)

    async def _outcome(self, acting: asyncio.Task[None], losing: asyncio.Task[DemoError], stage: Stage) -> int:
        error = acting.exception()
        if error is None:
            return 0
        if not isinstance(error, DemoError):
            raise error
        # A step fails sooner than the end of a process is noticed, and the process is the better explanation.
        await asyncio.wait({losing}, timeout=_CAUSE_PATIENCE_S)
        if losing.done():
            raise losing.result()
        more = f"the logs are in {self._place.root}" if self._place.kept else "--keep leaves the logs in a directory"
        raise DemoError(
            f"{str(error).rstrip('.')}; the last lines of the logs are above, and {more}.",
            error.log_ends or {actor.title: actor.process.log.tail() for actor in stage.actors},
        )

    async def _act(self, stage: Stage) -> None:
        show = self._show
        show.begin()
        show.setting_up(stage.actors)
        await _both(stage.start_store(), stage.start_server())
        token = await stage.registrar.create_agent(_AGENT_NAME, stage.ssh_address)
        show.registered(f"integration-server agents create {_AGENT_NAME}", "token into a 0600 file")
        access, _ = await _both(self._register(stage), stage.start_agent(token))
        show.set_up()

        trail = Trail(stage.server.process.log, stage.agent.process.log)
        client = GatewayClient("127.0.0.1", stage.gateway_port, access.key)

        async def send(request: Request) -> Answer:
            try:
                return await asyncio.to_thread(client.send, request)
            except asyncio.CancelledError:
                client.abort()
                raise

        began = time.monotonic()
        show.steps_begin()
        try:
            outcome = await Script(send, access.slug, self._place.store_database, trail, show).run()
        finally:
            client.close()
        self._conclude(trail, outcome, time.monotonic() - began)
        if self._options.once:
            self._show.conclusion("Without --once the demo stays up, and shows commands to try.")
            return
        gateway_url = f"http://127.0.0.1:{stage.gateway_port}/{access.slug}"
        show.advise(advise(self._place, gateway_url, access.key, outcome, stage.actors))
        show.stay()
        self._is_up = True
        while True:
            for exchange in trail.read():
                show.exchange(exchange)
            await asyncio.sleep(_FOLLOW_EVERY_S)

    async def _register(self, stage: Stage) -> _Access:
        slug = await stage.registrar.create_connection(_CONNECTION_NAME, _AGENT_NAME, stage.store_url, stage.api_key)
        self._show.registered(f"integration-server connections create {_CONNECTION_NAME}", "store's API key sealed")
        key = await stage.registrar.create_client_key(slug)
        self._show.registered("integration-server client-keys create", "key for integrations")
        return _Access(slug, key)

    def _conclude(self, trail: Trail, outcome: Outcome, elapsed_s: float) -> None:
        trail.read()
        strayed = [request_id for request_id in outcome.refused_ids if trail.reached_agent(request_id)]
        if strayed:
            raise DemoError(f"The gateway refused the request {strayed[0]}, and yet the agent has seen it.")
        self._show.conclusion(
            f"All went well, in {elapsed_s:.1f} s.\n"
            "The hops shown are those in the logs of server and agent, found by X-Request-Id."
        )


@dataclass(frozen=True, slots=True)
class _Access:
    slug: str
    key: str = field(repr=False)


async def _both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Run both; the first error cancels the other."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(first), group.create_task(second)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return one.result(), other.result()
