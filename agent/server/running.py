"""All parts of a running server: built in the order in which one needs the other, taken down in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import structlog

import agent
from agent.doctor.answer import ProbeAnswer
from agent.server.admin_socket import AdminSocket
from agent.server.api.application import create_application
from agent.server.assembly import cloud_forwarder, gateway_limits, gateway_listener, ssh_config
from agent.server.exchange_counts import ExchangeCounts
from agent.server.exchange_log import log_exchange
from agent.server.gateway import Gateway
from agent.server.gateway_context import GatewayRecord
from agent.server.inherited_sockets import InheritedSockets
from agent.server.internal import ask
from agent.server.listening import listen_for_agents, listen_for_integrations
from agent.server.metrics.tunnel_counts import TunnelCounts
from agent.server.metrics_open import measured
from agent.server.operations.agent_tokens import keep_sweeping
from agent.server.operations.key_use import keep_noting_use
from agent.server.operations.notice_message import SendNotice
from agent.server.operations.place_audit import PlaceAudit
from agent.server.operations.presence import PresenceLog
from agent.server.operations.status import ListenerReport, Listeners
from agent.server.panel_open import Announce, announce_first_link, panel_open
from agent.server.ready_file import write_ready_file
from agent.server.registry import Registry
from agent.server.routes import Route
from agent.server.self_report import SelfReport
from agent.server.service_report import ServiceReport
from agent.server.sshd import SshEndpoint
from agent.server.state import ServerState
from agent.server.traffic import Traffic
from agent.server.watching import watching

RETRY_AFTER_RESTART_S: Final = 2.0
"""When the first agent is asked back: a server that is started again needs that long to listen."""

RETRY_ON_PASSED_SOCKETS_S: Final = 1.0

_LOG = structlog.get_logger()


@contextlib.asynccontextmanager
async def running(
    state: ServerState,
    announce: Announce,
    ready_file: Path | None,
    inherited: InheritedSockets,
    hurry: asyncio.Event,
    on_lost: Callable[[], None],
    send_notice: SendNotice,
) -> AsyncIterator[ServiceReport]:
    """All listeners, in the order in which one needs the other; taken down in the reverse order.

    ``on_lost`` is called when another server has taken the database; ``send_notice`` sends what is noticed.
    """
    settings = state.settings
    gateway_at = gateway_listener(settings)
    tls = gateway_at.tls()

    places = PlaceAudit()
    traffic, exchanges, tunnels = Traffic(), ExchangeCounts(), TunnelCounts()

    def note(record: GatewayRecord) -> None:
        traffic.note(record)
        exchanges.note(record)
        log_exchange(record)

    registry = Registry(lambda tunnel: gateway.pools.make(tunnel))  # noqa: PLW0108 - it is made below
    registry.subscribe(tunnels.note)
    gateway = Gateway(
        state.live.routing,
        registry,
        lambda context: cloud_forwarder(settings, context),
        gateway_limits(settings),
        note,
    )
    async with contextlib.AsyncExitStack() as stack:
        endpoint = SshEndpoint(state.host_key.key, state.live.authenticate, registry, ssh_config(settings, places.note))
        back_after_s = RETRY_ON_PASSED_SOCKETS_S if inherited.named("ssh") else RETRY_AFTER_RESTART_S
        stack.push_async_callback(endpoint.close, back_after_s)
        agents = await listen_for_agents(endpoint, settings, inherited)
        stack.callback(registry.drain_all, "the server is restarting", back_after_s)
        stack.push_async_callback(gateway.close)
        integrations = await listen_for_integrations(gateway, gateway_at, tls, inherited)
        gateway_url = integrations.url(tls is not None)

        async def exchange(route: Route, rest: bytes) -> ProbeAnswer:
            return await ask(gateway.context, route, b"GET", rest)

        report = SelfReport(
            live=state.live,
            registry=registry,
            gateway=gateway,
            endpoint=endpoint,
            listeners=Listeners(
                ssh=ListenerReport(agents.host, agents.port),
                gateway=ListenerReport(integrations.host, integrations.port),
                gateway_url=settings.public_gateway_url or gateway_url,
                admin_socket=str(settings.admin_socket_path),
            ),
            own_connections=lambda: admin.connections,
            panel=lambda: people.report if people is not None else None,
            traffic=traffic,
        )
        plane = state.control_plane(
            gateway_url,
            registry=registry,
            exchange=exchange,
            report=report,
            cloud_plan=gateway.cloud.check_plan,
            traffic=traffic,
            send_notice=send_notice,
        )
        presence = PresenceLog(plane)
        unsubscribe = registry.subscribe(presence.note)
        writing = [
            asyncio.create_task(presence.run(), name="presence-log"),
            asyncio.create_task(places.run(plane), name="place-audit"),
            asyncio.create_task(keep_sweeping(plane), name="secret-sweep"),
            asyncio.create_task(keep_noting_use(plane), name="key-use"),
            asyncio.create_task(state.claim.keep(on_lost), name="database-claim"),
        ]
        told = await stack.enter_async_context(
            measured(
                plane,
                settings,
                registry=registry,
                gateway=gateway,
                endpoint=endpoint,
                exchanges=exchanges,
                tunnels=tunnels,
            )
        )
        application = create_application(plane)
        application.router.routes.extend(told.routes)
        admin = AdminSocket(application, settings.admin_socket_path)
        await admin.start()
        stack.push_async_callback(admin.close)
        people = await stack.enter_async_context(panel_open(plane, settings, inherited))
        plane.listening_panel_url = people.url if people is not None else None
        stack.push_async_callback(_drained, gateway, settings.drain_timeout_s, hurry)  # early: status shows it
        watch = settings.watch
        watches = await stack.enter_async_context(
            watching(plane, registry, test_interval_s=watch.test_interval_s, offline_after_s=watch.offline_after_s)
        )

        announce(f"ssh       {agents.shown}, host key {endpoint.fingerprint}")
        announce(f"gateway   {gateway_url}{f' ({integrations.reason})' if integrations.reason else ''}")
        if people is not None:
            announce(f"panel     {people.url}{f' ({people.reason})' if people.reason else ''}")
            await announce_first_link(plane, announce)
        announce(f"admin     {admin.path}")
        if told.port is not None:
            announce(f"metrics   http://{told.port.shown}/metrics")
        if integrations.reason:
            _LOG.warning("gateway.loopback_only", reason=integrations.reason)
        ready = {
            "pid": os.getpid(),
            "version": agent.__version__,
            "ssh": {"host": agents.host, "port": agents.port},
            "gateway": {"host": integrations.host, "port": integrations.port, "url": gateway_url},
            "panel": people.facts if people is not None else None,
            "metrics": told.facts,
            "admin_socket": str(admin.path),
            "host_key": endpoint.fingerprint,
        }
        if ready_file is not None:
            write_ready_file(ready_file, ready)
            stack.callback(lambda: ready_file.unlink(missing_ok=True))
        _LOG.info("server.ready", **ready)
        try:
            yield ServiceReport(
                registry,
                gateway,
                {
                    "ssh": lambda: endpoint.is_serving,
                    "gateway": lambda: gateway.is_serving,
                    "admin": lambda: admin.is_serving,
                    "panel": lambda: people is None or people.is_serving(),
                },
                [*writing, *watches],
            )
        finally:
            await stack.aclose()
            unsubscribe()
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
            await presence.flush()
            await places.flush(plane)


async def _drained(gateway: Gateway, drain_s: float, hurry: asyncio.Event) -> None:
    """Let running exchanges end, unless a second signal says not to wait."""
    draining = asyncio.create_task(gateway.drain(drain_s), name="gateway-drain")
    hurrying = asyncio.create_task(hurry.wait(), name="second-signal")
    try:
        await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (draining, hurrying):
            task.cancel()
        complete, _ = await asyncio.gather(draining, hurrying, return_exceptions=True)
    if isinstance(complete, Exception):
        _LOG.error("server.drain_failed", error=type(complete).__name__, exc_info=complete)
    _LOG.info("server.drained", complete=complete is True)
