"""``prestashop-agent run --once``: one tunnel that comes up and serves nothing, and a look at every open store."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from agent.checkup.plan import CheckPlan
from agent.checkup.run import run_checkup
from agent.doctor.report import CheckReport, StepState
from agent.errors import StartError
from agent.log import IS_JSON, configure_logging
from agent.opened_stores import OpenedStores
from agent.opening import read_openings
from agent.pause_file import PauseFile
from agent.pause_switch import PauseSwitch
from agent.settings import AgentSettings
from agent.settings_proxy import read_proxy_route
from agent.source import Source, tunnel_config
from agent.streams import ByteSession
from agent.terminal_log import TerminalRenderer
from agent.tunnel.messages import Hello
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken, read_token_file
from agent.tunnel.tunnel_status import TunnelStatus

_LEAVE_S: Final = 2.0
_PAUSES_S: Final = 15.0  # between the attempts at the servers of the token


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one thing: ``what`` is ``server`` or ``store``; ``remedy`` is for what is not well."""

    what: str
    name: str
    state: StepState
    text: str
    remedy: str = ""


def run_once(source: Source, tell: Callable[[Seen], None]) -> bool:
    """Look, and tell each result when it is there; True when all is well.

    It connects as a probe: that takes no place from an agent that runs here or elsewhere, and writes nothing to disk.

    Raises:
        SettingsError: settings, token or CA files cannot be used.
    """
    settings, places = source.read()
    token = read_token_file(places.token_file, is_credential=places.token_is_credential)
    proxy = ProxyDial(read_proxy_route(settings.proxy, source.environ), settings.timeouts.ssh_connect_s)
    # The results say it all; who asks for every event gets them between.
    level = "debug" if settings.log.level == "debug" else "critical"
    configure_logging(level, IS_JSON[settings.log.format], on_terminal=TerminalRenderer)
    pauses = PauseSwitch(PauseFile(places.state_dir))
    return asyncio.run(_look(settings, token, proxy, pauses, tell))


async def _look(
    settings: AgentSettings, token: AccessToken, proxy: ProxyDial, pauses: PauseSwitch, tell: Callable[[Seen], None]
) -> bool:
    stores = OpenedStores(str(uuid.uuid4()), pauses)
    await stores.open(read_openings(settings.stores), settings.timeouts)

    async def told(look: asyncio.Future[Seen]) -> bool:
        seen = await look
        tell(seen)
        return seen.state is not StepState.FAILED

    def hello(index: int) -> Hello:
        return stores.hello(index).model_copy(update={"kind": "probe", "stores": []})

    looks = [asyncio.ensure_future(_server(settings, token, proxy, hello))]
    looks += [asyncio.ensure_future(_store(plan)) for plan in stores.checks.plans.values()]
    try:
        well = [await told(look) for look in looks]
    finally:
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
    if len(looks) == 1:
        remedy = "Add a [[stores]] table with the url of a shop to the settings."
        tell(Seen("store", "none", StepState.FAILED, "no store is open", remedy))
        return False
    return all(well)


async def _server(settings: AgentSettings, token: AccessToken, proxy: ProxyDial, hello: Callable[[int], Hello]) -> Seen:
    """One tunnel, once at each server of the token until one is up."""
    config = replace(tunnel_config(settings), tunnels=1)
    supervisor = Supervisor(config, token, hello, _no_session, dial=proxy)
    running = asyncio.create_task(supervisor.run(), name="supervisor")
    limit_s = len(token.servers) * (config.connect_timeout_s + config.login_timeout_s) + _PAUSES_S
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await supervisor.wait_for(lambda each: _is_over(each.status()[0], len(token.servers)))
        status = supervisor.status()[0]
        if status.state is State.READY:
            text = f"logged in and welcome, server version {status.server_version}"
            await supervisor.drain(_LEAVE_S)
            return Seen("server", status.server, StepState.OK, text)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    ending = status.last_ending
    if ending is None:
        return Seen("server", status.server, StepState.FAILED, f"no answer within {limit_s:g} s")
    return Seen("server", ", ".join(token.servers), StepState.FAILED, ending.reason.value, ending.detail)


def _is_over(status: TunnelStatus, servers: int) -> bool:
    """It is up, or every server was tried, or one has said what a person must repair."""
    is_tried = status.state is State.SLOW or (status.state is State.WAITING and status.attempts >= servers)
    return status.state is State.READY or is_tried


def _no_session(_nonce: bytes) -> ByteSession:
    raise StartError("This process serves nothing.")  # a server opens no channel to a probe


async def _store(plan: CheckPlan) -> Seen:
    report = await run_checkup(plan)
    return Seen("store", plan.rule.store.webservice_url, _state(report), _text(report), report.remedy)


def _state(report: CheckReport) -> StepState:
    if not report.ok:
        return StepState.FAILED
    warned = any(step.state is StepState.WARNING for step in report.steps)
    return StepState.WARNING if warned else StepState.OK


def _text(report: CheckReport) -> str:
    warnings = [step.finding for step in report.steps if step.state is StepState.WARNING]
    lead = f"{report.verdict}, " if not report.ok else ""
    return " ".join([f"{lead}{report.elapsed_ms:.0f} ms. {report.finding}", *warnings])
