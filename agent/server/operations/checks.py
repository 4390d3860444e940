"""The connection test: layer by layer along the real way, by the agent, or by this server for mode Cloud."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from agent.checkup.plan import LISTING, checked_with
from agent.checkup.run import run_checkup
from agent.doctor.answer import DUMMY_KEY, ProbeAnswer
from agent.doctor.diagnose import diagnose
from agent.doctor.diagnosis import Diagnosis, Question
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.errors import AgentOffline
from agent.policy import Rule, judge
from agent.server.operations.agents import get_agent
from agent.server.operations.check_absence import absence_step, why_absent
from agent.server.operations.check_fallback import report_from_answer
from agent.server.operations.control_plane import ControlPlane, InternalExchange
from agent.server.operations.failures import ConflictError
from agent.server.remote_check import can_check, check_through
from agent.server.routes import Route
from agent.server.tunnel import Tunnel
from agent.store_command import LIST_COMMAND, opening_command, widening_command
from agent.target import store_target

_PROBE_TARGET: Final = LISTING.encode("ascii")

OnStep = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """The outcome of one test; ``connection_id`` and ``slug`` are "" for a connection that is not saved."""

    connection_id: str
    slug: str
    report: CheckReport


async def check_connection(plane: ControlPlane, connection_id: str, *, on_step: OnStep | None = None) -> ConnectionTest:
    """Test a connection with its stored key; one test at a time, and few at once in the whole server.

    Raises ConflictError when no server runs in this process, the connection has no key yet, or was deleted meanwhile.
    """
    need_server(plane)
    route = plane.live.route(connection_id)
    if route is None:
        raise ConflictError("The connection was deleted meanwhile.")
    if not route.api_key:
        raise ConflictError(
            f"The connection {route.slug} has no API key that can be used: edit it and enter the key.", field="api_key"
        )
    async with plane.testing.one(connection_id):
        report = await check_route(plane, route, on_step=on_step)
    return ConnectionTest(connection_id, route.slug, report)


async def check_route(plane: ControlPlane, route: Route, *, on_step: OnStep | None = None) -> CheckReport:
    """Test what ``route`` says, saved or not; its key goes to its store only."""
    checking = _Checking(plane, route, on_step or (lambda _step: None))
    return await checking.run()


async def check_store(plane: ControlPlane, route: Route) -> Diagnosis:
    """Ask whether a webservice answers at ``route.store``; no real key leaves this server for a mere guess."""
    if plane.exchange is None:
        raise ConflictError("No server is running on this data directory.")
    async with plane.probing:
        answer = await _ask(plane, plane.exchange, replace(route, api_key=DUMMY_KEY))
    return diagnose(answer, Question(route.store, route.mode, route.key_in, route.shop_host))


class _Checking:
    def __init__(self, plane: ControlPlane, route: Route, on_step: OnStep) -> None:
        self._plane = plane
        self._route = route
        self._on_step = on_step
        self._first: list[Step] = []
        self._began = time.monotonic()

    async def run(self) -> CheckReport:
        """All layers, those of the server first."""
        route = self._route
        if route.mode == "cloud":
            self._tell(Step(Layer.AGENT, StepState.SKIPPED, "Mode Cloud uses no agent."))
        tunnel = self._tunnel() if route.mode == "on-premise" else None
        if route.mode == "on-premise" and tunnel is None:
            self._tell(await absence_step(self._plane, route.agent_id or ""))
            return self._report()
        if tunnel is not None:
            self._tell(_online(tunnel))
        denied = self._policy(tunnel)
        if denied is not None:
            self._tell(denied)
            return self._report()
        if tunnel is not None and can_check(tunnel) and self._plane.registry is not None:
            return self._joined(await check_through(self._plane.registry, tunnel, route, self._on_step))
        if tunnel is None and self._plane.cloud_plan is not None:
            return self._joined(await run_checkup(self._plane.cloud_plan(route), self._on_step))
        assert self._plane.exchange is not None  # noqa: S101 - looked at before
        answer = await self._plane.exchange(_plainly(route), _PROBE_TARGET)
        report = report_from_answer(answer, route)
        for step in report.steps:
            self._on_step(step)
        return self._joined(report)

    def _tunnel(self) -> Tunnel | None:
        """A tunnel that can be asked; one whose agent opens this store, if there is one."""
        registry, agent_id = self._plane.registry, self._route.agent_id or ""
        if registry is None:
            return None
        eligible = registry.eligible(agent_id, self._route.store)
        return next(iter(eligible or registry.tunnels(agent_id)), None)

    def _policy(self, tunnel: Tunnel | None) -> Step | None:
        """The step of a refusal; None, when it was told that this is allowed."""
        route = self._route
        asked = {("GET", "/api/"), (route.test_method, route.test_path)}
        for method, path in sorted(asked):
            target = store_target(route.store, path.encode("ascii"))
            own = judge(route.rule, method.encode(), target, None)
            if not own.allowed:
                return _denied(
                    f"The connection itself does not allow {method} {path.partition('?')[0]}: {own.detail}",
                    "Widen the methods or resources of the connection.",
                )
            if tunnel is None:
                continue
            rule = tunnel.rule_for(route.store)
            if rule is None:
                return _denied(
                    f"The settings of the agent do not open {route.store}.",
                    f"Run on its machine: {opening_command(route.store, route.rule.methods)}.",
                )
            said = judge(Rule(rule.store, rule.methods, rule.resources), method.encode(), target, None)
            if not said.allowed:
                return _denied(
                    f"The settings of the agent do not allow {method} {path.partition('?')[0]}: {said.detail}",
                    f"Run on its machine: {widening_command(said, rule) or LIST_COMMAND}.",
                )
        self._tell(
            Step(
                Layer.POLICY,
                StepState.OK if route.enabled else StepState.WARNING,
                "The store is open, for reading at least."
                if route.enabled
                else "The connection is disabled: the gateway answers connection_disabled to integrations.",
                "" if route.enabled else "Enable the connection when the test is good.",
                "" if route.enabled else "connection_disabled",
            )
        )
        return None

    def _tell(self, step: Step) -> None:
        self._first.append(step)
        self._on_step(step)

    def _joined(self, report: CheckReport) -> CheckReport:
        return replace(
            report,
            steps=(*self._first, *report.steps),
            elapsed_ms=round((time.monotonic() - self._began) * 1000, 1),
        )

    def _report(self) -> CheckReport:
        """The end at a layer of the server's own."""
        failed = self._first[-1]
        return CheckReport(
            ok=False,
            verdict=failed.verdict,
            finding=failed.finding,
            remedy=failed.remedy,
            steps=tuple(self._first),
            elapsed_ms=round((time.monotonic() - self._began) * 1000, 1),
        )


def need_server(plane: ControlPlane) -> None:
    """Raises ConflictError when no server runs in this process."""
    if plane.exchange is None:
        raise ConflictError(
            "A connection is tested by the running server, and none is running on this data directory: start it with "
            "integration-server serve."
        )


def _denied(finding: str, remedy: str) -> Step:
    return Step(Layer.POLICY, StepState.FAILED, finding, remedy, "policy_denied")


def _online(tunnel: Tunnel) -> Step:
    trip = f", {tunnel.round_trip_s * 1000:.0f} ms away" if tunnel.round_trip_s is not None else ""
    if tunnel.goes:
        finding = f'The agent "{tunnel.agent_name}" is online, but about to leave{trip}.'
        return Step(Layer.AGENT, StepState.WARNING, finding, "Test again when it is back.", "agent_draining")
    return Step(Layer.AGENT, StepState.OK, f'The agent "{tunnel.agent_name}" is online{trip}.')


async def _ask(plane: ControlPlane, exchange: InternalExchange, route: Route) -> ProbeAnswer:
    agent_id = route.agent_id
    if agent_id is not None and plane.registry is not None and not plane.registry.tunnels(agent_id):
        # The gateway would park the request in the hope that the agent comes back; a person wants to know now.
        detail = why_absent(await get_agent(plane, agent_id))[1]
        return ProbeAnswer(0, error_name=AgentOffline.name, error_detail=detail)
    return await exchange(_plainly(route), _PROBE_TARGET)


def _plainly(route: Route) -> Route:
    """The route, without the fields that would make the answer one that a diagnosis cannot read."""
    return replace(route, headers=checked_with(route.headers))
