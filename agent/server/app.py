"""The composition root of ``integration-server serve``: signals, the data directory, and the running server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog
import uvloop

from agent.log import IS_JSON, configure_logging
from agent.loop_lag import put_loop_first
from agent.server.data_directory import hold_data_directory
from agent.server.inherited_sockets import InheritedSockets
from agent.server.notice_assembly import notice_sender
from agent.server.open_files import allow_open_files
from agent.server.panel_open import Announce
from agent.server.running import running
from agent.server.settings import ServerSettings
from agent.server.state import opened_state
from agent.service_life import ServiceLife
from agent.systemd import ServiceNotifier

_ON_HANGUP: Final = "Settings are read at the start only: restart this server (SIGTERM loses no request)."

_LOG = structlog.get_logger()


def run_server(
    settings: ServerSettings, environ: Mapping[str, str], announce: Announce, ready_file: Path | None = None
) -> None:
    """Run the server until SIGTERM or SIGINT; the second signal does not wait for running exchanges.

    ``announce`` gets one line per listener; ``ready_file`` is written, whole, as JSON when all of them listen.
    Raises StartError or SettingsError, one sentence, when it cannot start.
    """
    configure_logging(settings.log.level, IS_JSON[settings.log.format])
    os.umask(0o077)
    allow_open_files()
    put_loop_first()
    inherited = InheritedSockets.take(os.environ, os.getpid())
    manager = ServiceNotifier.take(os.environ, os.getpid())
    with hold_data_directory(settings.data_dir):
        uvloop.run(_serve(settings, environ, announce, ready_file, inherited, manager))


async def _serve(
    settings: ServerSettings,
    environ: Mapping[str, str],
    announce: Announce,
    ready_file: Path | None,
    inherited: InheritedSockets,
    manager: ServiceNotifier,
) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    # A terminal that closes must not end a server that was started in it, nor a habit of reloading daemons.
    loop.add_signal_handler(signal.SIGHUP, lambda: _LOG.warning("settings.need_restart", detail=_ON_HANGUP))
    send_notice = notice_sender(settings, environ)
    async with opened_state(settings, environ) as state:
        if state.host_key.created:
            announce(f"host key  made, {state.host_key.fingerprint}")
        async with (
            ServiceLife(manager) as life,  # the outer one: it tells of the drain, too
            running(state, announce, ready_file, inherited, hurry, stop.set, send_notice) as report,
        ):
            life.ready(report.sentence, report.stuck)
            await stop.wait()
            life.stopping()
            _LOG.info("server.stopping", drain_timeout_s=settings.drain_timeout_s)
    _LOG.info("server.stopped")
