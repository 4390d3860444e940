"""Asking an agent to check a store, over a tunnel's control channel."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from agent.checkup.run import CHECK_TIMEOUT_S
from agent.doctor.layers import KNOWN_VERDICTS
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.server.registry import Change, Registry, RegistryEvent
from agent.server.routes import Route
from agent.server.tunnel import Tunnel
from agent.store_command import LIST_COMMAND
from agent.tunnel.check_messages import CHECK_FEATURE, INITIALS, STEPS_MAX, Check, CheckDone, CheckStep
from agent.tunnel.text import printable

PATIENCE_S: Final = CHECK_TIMEOUT_S + 10.0

_METHODS: Final = {initial: method for method, initial in INITIALS.items()}

OnStep = Callable[[Step], None]


def can_check(tunnel: Tunnel) -> bool:
    """True when the agent at the other end knows how to."""
    return CHECK_FEATURE in tunnel.features and tunnel.say is not None


async def check_through(registry: Registry, tunnel: Tunnel, route: Route, on_step: OnStep) -> CheckReport:
    """Let the agent check the store of ``route``; takes at most 40 s.

    What it tells is bounded and escaped: an agent is not trusted with more than its own stores.
    """
    asked = _Asked(on_step)
    check_id = secrets.token_hex(8)

    def watch(event: RegistryEvent) -> None:
        if event.change is Change.REMOVED and event.tunnel is tunnel:
            asked.lost()

    unsubscribe = registry.subscribe(watch)
    tunnel.inbox[check_id] = asked.take
    try:
        said = tunnel.say is not None and tunnel.say(_message(check_id, route))
        if not said:
            asked.lost()
        async with asyncio.timeout(PATIENCE_S):
            await asked.over
    except TimeoutError:
        asked.fail(f"The agent did not finish the check within {PATIENCE_S:.0f} s.")
    finally:
        unsubscribe()
        tunnel.inbox.pop(check_id, None)
    return asked.report()


def _message(check_id: str, route: Route) -> Check:
    return Check(
        id=check_id,
        **asdict(route.store),
        api_key=route.api_key,
        key_in=route.key_in,
        test_path=route.test_path,
        test_method=route.test_method,
        headers=list(route.headers),
    )


class _Asked:
    """One check that an agent was asked for."""

    def __init__(self, on_step: OnStep) -> None:
        self._on_step = on_step
        self.steps: list[Step] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done: CheckDone | None = None

    def take(self, message: CheckStep | CheckDone) -> None:
        """What the agent tells."""
        if self.over.done():
            return
        if isinstance(message, CheckStep):
            if len(self.steps) < STEPS_MAX and message.layer in tuple(Layer):
                step = _step(message)
                self.steps.append(step)
                self._on_step(step)
            return
        self._done = message
        if message.refusal:
            refusal = printable(message.refusal, 400)
            if message.busy:
                step = _failed("agent_busy", refusal, "Test again in a minute.")
            else:
                step = _failed("policy_denied", refusal, f"What it opens says, on its machine: {LIST_COMMAND}.")
            self.steps.append(step)
            self._on_step(step)
        elif not self.steps:
            self.fail("The agent ended the check without looking at any layer.")
        self._end()

    def lost(self) -> None:
        """The tunnel is gone."""
        if not self.over.done():
            self.fail("The tunnel of the agent broke off during the check.")
            self._end()

    def fail(self, finding: str) -> None:
        """The check has no end of its own: say so as a step."""
        step = _failed("tunnel_lost", finding, "Test again.")
        self.steps.append(step)
        self._on_step(step)

    def report(self) -> CheckReport:
        """What came."""
        failed = next((step for step in self.steps if step.state is StepState.FAILED), None)
        done = self._done
        permissions = None
        if done is not None and done.permissions is not None:
            permissions = {
                name: tuple(_METHODS[initial] for initial in initials) for name, initials in done.permissions.items()
            }
        version = done.version if done is not None and done.version else None
        return CheckReport(
            ok=failed is None,
            verdict=failed.verdict if failed is not None else "ok",
            finding=failed.finding if failed is not None else summary(version, permissions),
            remedy=failed.remedy if failed is not None else "",
            steps=tuple(self.steps),
            version=version,
            permissions=permissions,
            certificate_ends_at=done.certificate_ends_at if done is not None else None,
            elapsed_ms=done.elapsed_ms if done is not None else 0.0,
        )

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


def summary(version: str | None, permissions: dict[str, tuple[str, ...]] | None) -> str:
    """One sentence for a store that is all right."""
    shown = f"PrestaShop {version}" if version else "PrestaShop (version not said)"
    if permissions is None:
        return f"{shown} answers."
    count = sum(bool(methods) for methods in permissions.values())
    return f"{shown}, {count} resource{'' if count == 1 else 's'} open to this key."


def _step(message: CheckStep) -> Step:
    verdict = message.verdict if message.verdict in KNOWN_VERDICTS else "unexpected_status"
    state = StepState(message.state)
    if state is StepState.FAILED and verdict in ("", "ok"):
        verdict = "unexpected_status"
    return Step(
        layer=Layer(message.layer),
        state=state,
        finding=printable(message.finding, 1000),
        remedy=printable(message.remedy, 1000),
        verdict=verdict,
        elapsed_ms=round(message.elapsed_ms, 1),
        facts={
            name: printable(value, 400) if isinstance(value, str) else value for name, value in message.facts.items()
        },
    )


def _failed(verdict: str, finding: str, remedy: str) -> Step:
    layer = Layer.POLICY if verdict == "policy_denied" else Layer.AGENT
    return Step(layer, StepState.FAILED, finding, remedy, verdict)
