"""The composition root of ``prestashop-agent run``: settings, token, instance lock, stores, tunnels, signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

import structlog

import agent
from agent.access_files import AccessFiles
from agent.access_log import AccessLog
from agent.errors import StartError
from agent.exchange_log import in_turn, log_exchange
from agent.forward.context import ForwardContext
from agent.forward.session import ForwardSession
from agent.instance import Instance
from agent.local_http import LocalHttp
from agent.local_socket import SOCKET_NAME, LocalSocket
from agent.log import IS_JSON, configure_logging
from agent.loop_lag import put_loop_first
from agent.metrics import AgentMetrics
from agent.metrics_listener import MetricsListener
from agent.network_watch import NetworkWatch
from agent.opened_stores import OpenedStores
from agent.opening import Opening, read_openings
from agent.pause_file import PauseFile
from agent.pause_switch import PauseSwitch
from agent.process_signals import ProcessSignals
from agent.reloading import Reloading
from agent.self_report import SelfReport
from agent.service_life import ServiceLife, first_dead
from agent.service_sentence import service_sentence
from agent.settings import AgentSettings
from agent.settings_proxy import read_proxy_route
from agent.source import Source, access_log_files, forward_timeouts, tunnel_config
from agent.systemd import ServiceNotifier
from agent.terminal_log import TerminalRenderer
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.proxy_route import describe_route
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken, read_token_file

EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT

_log = structlog.get_logger("agent")


def run_daemon(source: Source) -> int:
    """Run until a signal says stop; the exit code of the process.

    Raises:
        SettingsError: settings, token or CA files cannot be used.
        StartError: the state directory is taken or cannot be written.
    """
    manager = ServiceNotifier.take(os.environ, os.getpid())
    settings, places = source.read()
    token = read_token_file(places.token_file, is_credential=places.token_is_credential)
    proxy = ProxyDial(read_proxy_route(settings.proxy, source.environ), settings.timeouts.ssh_connect_s)
    openings = read_openings(settings.stores)
    for opening in openings:
        opening.target(settings.timeouts)  # a CA file that cannot be used must end the start, not the first request
    configure_logging(settings.log.level, IS_JSON[settings.log.format], on_terminal=TerminalRenderer)
    with Instance.claim(places.state_dir) as instance:
        pauses = PauseSwitch(PauseFile(places.state_dir))
        files = access_log_files(settings, places)
        daemon = Daemon(source, settings, token, instance.id, proxy, manager, pauses, files)
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
        local.on("reload", lambda _request: daemon.reload(), changes=True)
        local.on("pause", source.only_meant(pauses.pause), changes=True)
        local.on("resume", source.only_meant(pauses.resume), changes=True)
        metrics = AgentMetrics(daemon.report, lambda: local.connections)
        local.http = LocalHttp(lambda: daemon.report.status(local.connections), metrics.scrape)
        listener = MetricsListener(settings.metrics.place, settings.metrics.hosts, local.http, daemon.report.lag)
        return _run(_beside(local, listener, daemon.serve(openings)))


async def _beside(local: LocalSocket, listener: MetricsListener, main: Coroutine[Any, Any, int]) -> int:
    async with local, listener:
        return await main


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it is installed, which halves the cost of an exchange; on asyncio elsewhere."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        from uvloop import new_event_loop as loop_factory
    except ImportError:
        loop_factory = None
    put_loop_first()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


class Daemon:
    """One running agent."""

    def __init__(
        self,
        source: Source,
        settings: AgentSettings,
        token: AccessToken,
        instance_id: str,
        proxy: ProxyDial,
        manager: ServiceNotifier,
        pauses: PauseSwitch,
        access_files: AccessFiles | None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._token = token
        self._proxy = proxy
        self._manager = manager
        self._signals = ProcessSignals()
        self._pauses = pauses
        self._access_files = access_files
        self._stores = OpenedStores(instance_id, pauses)
        self._reloading: Reloading | None = None
        self.report = SelfReport(instance_id, token.agent_id, self._signals.stop.is_set, proxy)

    async def reload(self) -> dict[str, Any]:
        """What the command ``reload`` answers, once the settings are in force. Raises ``AgentError`` as a refusal."""
        if self._reloading is None:
            raise StartError("The agent is starting and reads its settings now: ask again in a moment.")
        later = await self._reloading.asked()
        stores = len(self._stores.grants)
        return {"settings_file": str(self._source.file), "stores": stores, "need_restart": list(later)}

    async def serve(self, openings: tuple[Opening, ...]) -> int:
        """Open the stores, keep the tunnels up, and drain when told to stop."""
        signals, stores = self._signals, self._stores
        signals.listen()
        access_log = AccessLog(self._access_files)
        access_log.open()
        context = ForwardContext(
            await stores.open(openings, self._settings.timeouts),
            timeouts=forward_timeouts(self._settings.timeouts),
            proxy="prestashop-agent",
            record=in_turn(self.report.tally.take, log_exchange, access_log.note),
        )
        supervisor = Supervisor(
            replace(tunnel_config(self._settings), on_check=stores.checks.take),
            self._token,
            stores.hello,
            lambda nonce: ForwardSession(context, nonce),
            in_flight=lambda: context.active,
            dial=self._proxy,
        )
        self.report.watch(context, supervisor)
        self._pauses.watch(context, supervisor.refresh)
        network = NetworkWatch(lambda: supervisor.wake(even_slow=False))
        network.start()
        reload = self._reloading = Reloading(
            self._source,
            self._settings,
            stores,
            self._proxy,
            context,
            supervisor,
            self._token.servers,
            self._manager,
        )
        running = asyncio.create_task(supervisor.run(), name="supervisor")
        reloading = asyncio.create_task(reload.run(signals.reload), name="reload")
        try:
            async with ServiceLife(self._manager) as life:
                life.ready(
                    lambda: service_sentence(supervisor.status(), context.active, is_stopping=signals.stop.is_set()),
                    lambda: first_dead((running, reloading)) or supervisor.stuck(),
                )
                await _first(running, signals.stop.wait())
                if running.done():
                    running.result()  # it ends by itself only through a defect, which is raised here
                life.stopping()
                return await self._drain(context, supervisor, reload.settings.timeouts.drain_s)
        finally:
            for task in (reloading, running):
                task.cancel()
            await asyncio.gather(reloading, running, return_exceptions=True)
            network.close()
            await self._pauses.close()
            await stores.checks.close()
            await context.close()
            await access_log.close()

    async def _drain(self, context: ForwardContext, supervisor: Supervisor, drain_s: float) -> int:
        """Leave without a lost request; a second signal does not wait."""
        draining = asyncio.create_task(self._drain_in_steps(context, supervisor, drain_s), name="drain")
        await _first(draining, self._signals.leave.wait())
        if not draining.done():
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            _log.warning("agent.left_at_once")
            return EXIT_INTERRUPTED
        _log.info("agent.stopped", complete=draining.result())
        return 0

    async def _drain_in_steps(self, context: ForwardContext, supervisor: Supervisor, drain_s: float) -> bool:
        """Serve on while what runs ends, then take nothing new, each for ``drain_s`` at most; True: nothing was cut.

        Without the first step everybody else would have to wait as long as one long export takes.
        """
        _log.info("agent.leaving", signal=self._signals.stopped_by.name, in_flight=context.active, at_most_s=drain_s)
        if context.active:
            supervisor.leave_soon("the agent is stopping")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await context.begun_have_ended()
        _log.info("agent.draining", in_flight=context.active, at_most_s=drain_s)
        return await supervisor.drain(drain_s)


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
