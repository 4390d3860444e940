"""The whole examination: this machine, each server of the token, each store of the policy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.doctor.causes import SERVER_LAYERS, STORE_LAYERS, not_looked_at
from agent.doctor.examination import Examination
from agent.doctor.finding import Finding, OwnLayer, Subject
from agent.doctor.report import Layer
from agent.examination.machine import Given, Source, look_at_settings, look_at_state, look_at_token
from agent.examination.notes import Notes, Tell
from agent.examination.server import Around, examine_server
from agent.examination.service import look_at_open_files, look_at_process, look_at_service, look_at_versions
from agent.examination.store import examine_store
from agent.opening import Opening
from agent.settings import AgentSettings
from agent.store_url import Store
from agent.tunnel.config import TunnelConfig
from agent.tunnel.token import AccessToken

AT_ONCE_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at. ``stores`` are those that are meant, None: all of the settings; ``now`` is the clock (unix)."""

    stores: Sequence[Store] | None = None
    servers: bool = True
    now: Callable[[], float] = time.time


EVERYTHING: Final = Scope()
_Look = Callable[[Tell], Awaitable[bool]]


async def examine(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
    *,
    is_root: bool,
    on_finding: Callable[[Finding], None] | None = None,
    scope: Scope = EVERYTHING,
) -> Examination:
    """Look at everything; changes nothing, and works beside the running agent.

    ``config``, ``environ``, ``overrides`` and ``is_root`` are as for ``load_agent_settings``. ``on_finding`` is told
    each finding at once, in the order of the result. Servers and stores are looked at at the same time; an answer that
    does not come takes as long as the settings' ``timeouts`` say. What is found is never raised.
    """
    began = time.monotonic()
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if on_finding is not None:
            on_finding(finding)

    given, token = await _machine(Source(config, environ, overrides, is_root), tell)
    looks = [*_server_looks(given, token, scope, tell), *_store_looks(given, scope, tell)]
    usable = await _in_order(looks, tell)
    return Examination(
        tuple(findings),
        settings_usable=given.usable and token is not None and usable,
        elapsed_ms=round((time.monotonic() - began) * 1000, 1),
    )


async def _machine(source: Source, tell: Tell) -> tuple[Given, AccessToken | None]:
    notes = Notes(Subject.MACHINE, "", tell)
    given = look_at_settings(source, notes)
    token = look_at_token(given, notes)
    holder = look_at_state(given.places, notes)
    report = await look_at_process(given, source.environ, holder, notes)
    await look_at_service(source.environ, notes)
    look_at_open_files(given, report, notes)
    look_at_versions(notes)
    return given, token


def _server_looks(given: Given, token: AccessToken | None, scope: Scope, tell: Tell) -> list[_Look]:
    if not scope.servers:
        return []
    if token is None or not given.usable:
        cause = OwnLayer.TOKEN if token is None else OwnLayer.SETTINGS
        for server in token.servers if token is not None else ("",):
            _hidden(Subject.SERVER, server, cause, SERVER_LAYERS, tell)
        return []
    around = Around(token, given.route, _tunnel_config(given.settings), asyncio.Lock(), scope.now)

    def look(server: str) -> _Look:
        async def at_it(told: Tell) -> bool:
            await examine_server(server, around, told)
            return True

        return at_it

    return [look(server) for server in token.servers]


def _store_looks(given: Given, scope: Scope, tell: Tell) -> list[_Look]:
    settings = given.settings
    if settings is None:
        if scope.stores is None or scope.stores:
            _hidden(Subject.STORE, "", OwnLayer.SETTINGS, STORE_LAYERS, tell)
        return []
    timeouts = settings.timeouts

    def look(opening: Opening) -> _Look:
        return lambda told: examine_store(opening, timeouts, told, scope.now)

    wanted = given.openings
    if scope.stores is not None:
        meant = frozenset(map(_place, scope.stores))
        wanted = tuple(opening for opening in wanted if meant.intersection(map(_place, opening.candidates)))
    return [look(opening) for opening in wanted]


def _place(store: Store) -> tuple[str, str, int, str]:
    """What an address alone can say; which shop of a multistore it is stands in the settings."""
    return store.scheme, store.host, store.port, store.shop_path


async def _in_order(looks: Sequence[_Look], tell: Tell) -> bool:
    """Make them a few at a time; what each tells comes in their order. True when each came to True."""
    places = asyncio.Semaphore(AT_ONCE_MAX)
    queues: list[asyncio.Queue[Finding | None]] = [asyncio.Queue() for _ in looks]

    async def make(look: _Look, queue: asyncio.Queue[Finding | None]) -> bool:
        try:
            async with places:
                return await look(queue.put_nowait)
        finally:
            queue.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        made = [
            group.create_task(make(look, queue), name="examination") for look, queue in zip(looks, queues, strict=True)
        ]
        for queue in queues:
            while (finding := await queue.get()) is not None:
                tell(finding)
    return all(task.result() for task in made)


def _hidden(subject: Subject, name: str, cause: OwnLayer, hides: Sequence[OwnLayer | Layer], tell: Tell) -> None:
    rest = not_looked_at(subject, name, cause, hides)
    if rest is not None:
        tell(rest)


def _tunnel_config(settings: AgentSettings | None) -> TunnelConfig:
    if settings is None:
        return TunnelConfig()
    timeouts = settings.timeouts
    return TunnelConfig(connect_timeout_s=timeouts.ssh_connect_s, login_timeout_s=timeouts.ssh_login_s)
