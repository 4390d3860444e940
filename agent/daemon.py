"""The composition root of ``prestashop-agent run``: settings, token, instance lock, stores, tunnels, signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

import agent
from agent.checkup.service import CheckService
from agent.errors import AgentError
from agent.exchange_log import log_exchange
from agent.forward.context import ForwardContext
from agent.forward.session import ForwardSession
from agent.forward.target import ForwardTimeouts, StoreTable
from agent.instance import Instance
from agent.local_socket import SOCKET_NAME, LocalSocket
from agent.locations import Locations
from agent.log import configure_logging
from agent.network_watch import NetworkWatch
from agent.opening import Opening, read_openings, refuse_doubles
from agent.opening_log import say_what_is_open
from agent.probe import probe_openings
from agent.self_report import SelfReport
from agent.settings import AgentSettings, TimeoutSettings, load_agent_settings
from agent.settings_proxy import read_proxy_route
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.check_messages import CHECK_FEATURE
from agent.tunnel.config import TunnelConfig
from agent.tunnel.flow import LinkLimits
from agent.tunnel.messages import Grant, Hello
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.proxy_route import describe_route
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken, read_token_file

EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT

_RELOADED: Final = frozenset({"stores", "timeouts", "proxy"})

_log = structlog.get_logger("agent")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the settings of this process come from; a reload reads all of it again."""

    config: Path | None
    environ: Mapping[str, str]
    overrides: Mapping[str, Any]
    is_root: bool

    def read(self) -> tuple[AgentSettings, Locations]:
        """The settings as they are now. Raises ``SettingsError``."""
        return load_agent_settings(self.config, self.environ, self.overrides, is_root=self.is_root)


def run_daemon(source: Source) -> int:
    """Run until a signal says stop; the exit code of the process.

    Raises:
        SettingsError: settings, token or CA files cannot be used.
        StartError: the state directory is taken or cannot be written.
    """
    settings, places = source.read()
    token = read_token_file(places.token_file, is_credential=places.token_is_credential)
    proxy = ProxyDial(read_proxy_route(settings.proxy, source.environ), settings.timeouts.ssh_connect_s)
    openings = read_openings(settings.stores)
    for opening in openings:
        opening.target(settings.timeouts)  # a CA file that cannot be used must end the start, not the first request
    configure_logging(settings.log.level, {"auto": None, "text": False, "json": True}[settings.log.format])
    with Instance.claim(places.state_dir) as instance:
        daemon = Daemon(source, settings, token, instance.id, proxy)
        _log.info(
            "agent.starting",
            version=agent.__version__,
            instance_id=instance.id,
            agent_id=token.agent_id,
            servers=", ".join(token.servers),
            proxy=describe_route(proxy.route, token.servers),
            settings_file=str(places.config_file) if places.config_present else "none",
        )
        local = LocalSocket(places.runtime_dir / SOCKET_NAME)
        local.on("status", lambda _request: daemon.report.status(local.connections))
        return _run(_beside(local, daemon.serve(openings)))


async def _beside(local: LocalSocket, main: Coroutine[Any, Any, int]) -> int:
    async with local:
        return await main


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it is installed, which halves the cost of an exchange; on asyncio elsewhere."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        from uvloop import new_event_loop as loop_factory
    except ImportError:
        loop_factory = None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


class Daemon:
    """One running agent."""

    def __init__(
        self, source: Source, settings: AgentSettings, token: AccessToken, instance_id: str, proxy: ProxyDial
    ) -> None:
        self._source = source
        self._settings = self._started_with = settings
        self._token = token
        self._instance_id = instance_id
        self._proxy = proxy
        self._grants: list[Grant] = []
        self._stop = asyncio.Event()
        self._leave = asyncio.Event()
        self._reload = asyncio.Event()
        self._stopped_by = signal.SIGTERM
        self._checks = CheckService()
        self.report = SelfReport(instance_id, token.agent_id, self._stop.is_set, proxy)

    async def serve(self, openings: tuple[Opening, ...]) -> int:
        """Open the stores, keep the tunnels up, and drain when told to stop."""
        self._listen_to_signals()
        context = ForwardContext(
            await self._open(openings, self._settings.timeouts),
            timeouts=_forward_timeouts(self._settings.timeouts),
            proxy="prestashop-agent",
            record=log_exchange,
        )
        supervisor = Supervisor(
            replace(tunnel_config(self._settings), on_check=self._checks.take),
            self._token,
            self._hello,
            lambda nonce: ForwardSession(context, nonce),
            in_flight=lambda: context.active,
            dial=self._proxy,
        )
        self.report.watch(context, supervisor)
        network = NetworkWatch(lambda: supervisor.wake(even_slow=False))
        network.start()
        running = asyncio.create_task(supervisor.run(), name="supervisor")
        reloading = asyncio.create_task(self._reload_on_signal(context, supervisor), name="reload")
        try:
            await _first(running, self._stop.wait())
            if running.done():
                running.result()  # it ends by itself only through a defect, which is raised here
            return await self._drain(context, supervisor)
        finally:
            for task in (reloading, running):
                task.cancel()
            await asyncio.gather(reloading, running, return_exceptions=True)
            network.close()
            await self._checks.close()
            await context.close()

    async def _drain(self, context: ForwardContext, supervisor: Supervisor) -> int:
        """Leave without a lost request; a second signal does not wait."""
        draining = asyncio.create_task(self._drain_in_steps(context, supervisor), name="drain")
        await _first(draining, self._leave.wait())
        if not draining.done():
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            _log.warning("agent.left_at_once")
            return EXIT_INTERRUPTED
        _log.info("agent.stopped", complete=draining.result())
        return 0

    async def _drain_in_steps(self, context: ForwardContext, supervisor: Supervisor) -> bool:
        """Serve on while what runs ends, then take nothing new, each for ``drain_s`` at most; True: nothing was cut.

        Without the first step everybody else would have to wait as long as one long export takes.
        """
        drain_s = self._settings.timeouts.drain_s
        _log.info("agent.leaving", signal=self._stopped_by.name, in_flight=context.active, at_most_s=drain_s)
        if context.active:
            supervisor.leave_soon("the agent is stopping")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await context.begun_have_ended()
        _log.info("agent.draining", in_flight=context.active, at_most_s=drain_s)
        return await supervisor.drain(drain_s)

    # -- stores ------------------------------------------------------------------------------------------------------

    async def _open(self, openings: tuple[Opening, ...], timeouts: TimeoutSettings) -> StoreTable:
        """Decide what can be read in several ways, say what is open, and make the table. Raises ``SettingsError``."""
        decided = tuple(opening for opening, _ in await probe_openings(openings, timeouts))
        refuse_doubles(decided)
        targets = [opening.target(timeouts) for opening in decided]
        self._grants = [Grant.from_rule(opening.rule()) for opening in decided]
        self._checks.plans = {opening.store: opening.check_plan(timeouts) for opening in decided}
        for opening in decided:
            say_what_is_open(opening)
        if not decided:
            _log.warning("store.none", detail="No store is open: add a [[stores]] table with the url of a shop.")
        return StoreTable(targets)

    def _hello(self, index: int) -> Hello:
        return Hello(
            version=agent.__version__,
            instance_id=self._instance_id,
            tunnel_index=index,
            host=socket.gethostname()[:255],
            features=[CHECK_FEATURE],
            stores=self._grants,
        )

    # -- signals -----------------------------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _asked_to_stop(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            self._leave.set()
        self._stopped_by = number
        self._stop.set()

    async def _reload_on_signal(self, context: ForwardContext, supervisor: Supervisor) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                await self._read_anew(context, supervisor)
            except AgentError as error:
                _log.error("settings.refused", detail=str(error), kept="the settings from before")
            except Exception as error:  # noqa: BLE001 - a defect in one reload must not make the agent deaf to the next one
                _log.exception("settings.reload_failed", error=type(error).__name__, kept="the settings from before")

    async def _read_anew(self, context: ForwardContext, supervisor: Supervisor) -> None:
        """Swap the stores; exchanges that run keep the store they began with."""
        settings, _ = self._source.read()
        route = read_proxy_route(settings.proxy, self._source.environ)
        before = self._grants
        table = await self._open(read_openings(settings.stores), settings.timeouts)
        old, context.table = context.table, table
        context.timeouts = _forward_timeouts(settings.timeouts)
        old.close()
        later = [
            name
            for name in AgentSettings.model_fields
            if name not in _RELOADED and getattr(settings, name) != getattr(self._started_with, name)
        ]
        self._settings = settings
        if route != self._proxy.route:
            self._proxy.route = route
            _log.info("proxy.changed", proxy=describe_route(route, self._token.servers))
            supervisor.wake()
        if self._grants != before:
            supervisor.refresh()
        _log.info("settings.reloaded", stores=len(self._grants))
        if later:
            _log.warning("settings.need_restart", settings=", ".join(later))


def tunnel_config(settings: AgentSettings) -> TunnelConfig:
    """The settings that concern the tunnels, as the supervisor takes them."""
    reconnect, heartbeat, timeouts = settings.reconnect, settings.heartbeat, settings.timeouts
    return TunnelConfig(
        tunnels=settings.tunnels,
        connect_timeout_s=timeouts.ssh_connect_s,
        login_timeout_s=timeouts.ssh_login_s,
        heartbeat_interval_s=heartbeat.interval_s,
        silence_limit_s=heartbeat.silence_s,
        link=LinkLimits.within(heartbeat.silence_s),
        backoff=BackoffLimits(first_s=reconnect.first_s, cap_s=reconnect.max_s, reset_after_s=reconnect.stable_s),
    )


def _forward_timeouts(timeouts: TimeoutSettings) -> ForwardTimeouts:
    return ForwardTimeouts(
        connect_s=timeouts.store_connect_s,
        tls_s=timeouts.store_tls_s,
        first_byte_s=timeouts.store_first_byte_s,
        stall_s=timeouts.store_stall_s,
    )


async def _first(*awaitables: Awaitable[object]) -> None:
    """Wait until one of them is done; futures and tasks that were given go on."""
    waiting = {asyncio.ensure_future(each) for each in awaitables}
    given = {each for each in awaitables if isinstance(each, asyncio.Future)}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting - given:
            task.cancel()
        await asyncio.gather(*(waiting - given), return_exceptions=True)
