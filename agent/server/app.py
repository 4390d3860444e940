"""The composition root of ``integration-server serve``: builds every part, joins them, and takes them down again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final

import structlog
import uvloop

import agent
from agent.doctor.answer import ProbeAnswer
from agent.errors import StartError
from agent.log import configure_logging
from agent.redact import loggable_target
from agent.server.admin_socket import AdminSocket
from agent.server.api.application import create_application
from agent.server.assembly import cloud_forwarder, gateway_limits, gateway_tls, ssh_config
from agent.server.channels import ChannelPool
from agent.server.data_directory import hold_data_directory
from agent.server.gateway import Gateway
from agent.server.gateway_context import GatewayRecord
from agent.server.inherited_sockets import InheritedSockets
from agent.server.internal import ask
from agent.server.listening import Listening, listen_for_agents, listen_for_integrations
from agent.server.open_files import allow_open_files
from agent.server.operations.place_audit import PlaceAudit
from agent.server.operations.presence import PresenceLog
from agent.server.operations.status import ListenerReport, Listeners
from agent.server.registry import Registry
from agent.server.routes import Route
from agent.server.self_report import SelfReport
from agent.server.settings import ServerSettings
from agent.server.sshd import SshEndpoint
from agent.server.state import ServerState, opened_state
from agent.server.tunnel import Tunnel

RETRY_AFTER_RESTART_S: Final = 2.0
"""When the first agent is asked back: a server that is started again needs that long to listen."""

RETRY_ON_PASSED_SOCKETS_S: Final = 1.0

_ON_HANGUP: Final = "Settings are read at the start only: restart this server (SIGTERM loses no request)."

_LOG = structlog.get_logger()

Announce = Callable[[str], None]


def run_server(
    settings: ServerSettings, environ: Mapping[str, str], announce: Announce, ready_file: Path | None = None
) -> None:
    """Run the server until SIGTERM or SIGINT; the second signal does not wait for running exchanges.

    ``announce`` gets one line per listener; ``ready_file`` is written, whole, as JSON when all of them listen.
    Raises StartError or SettingsError, one sentence, when it cannot start.
    """
    log_format = {"auto": None, "json": True, "text": False}[settings.log.format]
    configure_logging(settings.log.level, log_format)
    os.umask(0o077)
    allow_open_files()
    inherited = InheritedSockets.take(os.environ, os.getpid())
    with hold_data_directory(settings.data_dir):
        uvloop.run(_serve(settings, environ, announce, ready_file, inherited))


async def _serve(
    settings: ServerSettings,
    environ: Mapping[str, str],
    announce: Announce,
    ready_file: Path | None,
    inherited: InheritedSockets,
) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    # A terminal that closes must not end a server that was started in it, nor a habit of reloading daemons.
    loop.add_signal_handler(signal.SIGHUP, lambda: _LOG.warning("settings.need_restart", detail=_ON_HANGUP))
    async with opened_state(settings, environ) as state:
        if state.host_key.created:
            announce(f"host key  made, {state.host_key.fingerprint}")
        async with _running(state, announce, ready_file, inherited, hurry):
            await stop.wait()
            _LOG.info("server.stopping", drain_timeout_s=settings.drain_timeout_s)
    _LOG.info("server.stopped")


@contextlib.asynccontextmanager
async def _running(
    state: ServerState,
    announce: Announce,
    ready_file: Path | None,
    inherited: InheritedSockets,
    hurry: asyncio.Event,
) -> AsyncIterator[None]:
    """All listeners, in the order in which one needs the other; taken down in the reverse order."""
    settings = state.settings
    tls = gateway_tls(settings)

    def make_pool(tunnel: Tunnel) -> ChannelPool:
        return ChannelPool(
            tunnel.open_channel,
            gateway.context.spawn,
            nonce=tunnel.nonce,
            plain=tunnel.plain,
            load=lambda busy: setattr(tunnel, "in_flight", busy),
            on_free=lambda: gateway.context.upstreams.wake(tunnel.agent_id),
        )

    places = PlaceAudit()
    registry = Registry(make_pool)
    gateway = Gateway(
        state.live.routing,
        registry,
        lambda context: cloud_forwarder(settings, context),
        gateway_limits(settings),
        _log_exchange,
    )
    async with contextlib.AsyncExitStack() as stack:
        endpoint = SshEndpoint(state.host_key.key, state.live.authenticate, registry, ssh_config(settings, places.note))
        back_after_s = RETRY_ON_PASSED_SOCKETS_S if inherited.named("ssh") else RETRY_AFTER_RESTART_S
        stack.push_async_callback(endpoint.close, back_after_s)
        agents = await listen_for_agents(endpoint, settings, inherited)
        stack.callback(registry.drain_all, "the server is restarting", back_after_s)
        stack.push_async_callback(gateway.close)
        integrations = await listen_for_integrations(gateway, settings, tls, inherited)
        reachable = Listening(_reachable(integrations.host), integrations.port)
        gateway_url = f"{'https' if tls else 'http'}://{reachable.shown}"

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
        )
        plane = state.control_plane(gateway_url, registry=registry, exchange=exchange, report=report)
        presence = PresenceLog(plane)
        unsubscribe = registry.subscribe(presence.note)
        writing = [
            asyncio.create_task(presence.run(), name="presence-log"),
            asyncio.create_task(places.run(plane), name="place-audit"),
        ]
        admin = AdminSocket(create_application(plane), settings.admin_socket_path)
        await admin.start()
        stack.push_async_callback(admin.close)
        stack.push_async_callback(_drained, gateway, settings.drain_timeout_s, hurry)  # first: status shows it

        announce(f"ssh       {agents.shown}, host key {endpoint.fingerprint}")
        announce(f"gateway   {gateway_url}{f' ({integrations.reason})' if integrations.reason else ''}")
        announce(f"admin     {admin.path}")
        if integrations.reason:
            _LOG.warning("gateway.loopback_only", reason=integrations.reason)
        ready = {
            "pid": os.getpid(),
            "version": agent.__version__,
            "ssh": {"host": agents.host, "port": agents.port},
            "gateway": {"host": integrations.host, "port": integrations.port, "url": gateway_url},
            "admin_socket": str(admin.path),
            "host_key": endpoint.fingerprint,
        }
        if ready_file is not None:
            _write_ready_file(ready_file, ready)
            stack.callback(lambda: ready_file.unlink(missing_ok=True))
        _LOG.info("server.ready", **ready)
        try:
            yield
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


def _log_exchange(record: GatewayRecord) -> None:
    _LOG.info(
        "exchange.done",
        request_id=record.request_id,
        connection=record.connection,
        client_key_id=record.key_id,
        method=record.method,
        target=loggable_target(record.target),
        status=record.status,
        answered_by=record.answered_by,
        error=record.error or None,
        elapsed_ms=round(record.elapsed_s * 1000, 1),
        bytes_up=record.bytes_up,
        bytes_down=record.bytes_down,
    )


def _reachable(host: str) -> str:
    """An address to connect to, for the one that is listened on."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def _write_ready_file(path: Path, ready: Mapping[str, object]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(ready) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StartError(f"The ready file {path} cannot be written ({error.strerror}): name another one.") from None
