"""The agent's side of a check that its server asks for: judged by the agent's own policy, and few at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import structlog

from agent.checkup.plan import CheckPlan
from agent.checkup.run import run_checkup
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.errors import SettingsError
from agent.forward.gate import StorePaused
from agent.pause import Pause
from agent.rewrite import FORWARDED_FIELDS, is_extra_field_allowed
from agent.store_command import add_command
from agent.store_url import Store, make_store
from agent.tunnel.check_messages import INITIALS, Check, CheckDone, CheckStep
from agent.tunnel.messages import ControlError, Message

AT_ONCE_MAX: Final = 2
PER_MINUTE_MAX: Final = 20
"""A server can ask for a store no more often than this, whatever it does with exchanges."""

_LOG = structlog.get_logger()

Send = Callable[[Message], bool]
"""False when the tunnel is gone."""


class CheckService:
    """Takes checks from tunnels. ``plans`` gives the way to each store that is open; it may be swapped by a reload."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause_of: Callable[[Store], Pause | None] = lambda _store: None,
    ) -> None:
        self._clock = clock
        self._pause_of = pause_of
        self._tasks: set[asyncio.Task[None]] = set()
        self._began: deque[float] = deque(maxlen=PER_MINUTE_MAX)
        self.plans: Mapping[Store, CheckPlan] = {}

    def __repr__(self) -> str:
        return f"<CheckService stores={len(self.plans)} running={len(self._tasks)}>"

    def take(self, check: Check, send: Send) -> None:
        """Make the check and tell its steps, or refuse it."""
        plan = self._plan(check)
        now = self._clock()
        pause = self._pause_of(plan.rule.store) if plan is not None else None
        if plan is None:
            self._refuse(check, send, f"The settings of the agent do not open this store. {_to_open(check)}")
        elif pause is not None:
            self._refuse_paused(check, send, pause)
        elif len(self._tasks) >= AT_ONCE_MAX:
            self._refuse(check, send, f"The agent is making {AT_ONCE_MAX} other checks.", busy=True)
        elif len(self._began) == PER_MINUTE_MAX and now - self._began[0] < 60:
            self._refuse(check, send, f"The agent makes {PER_MINUTE_MAX} checks a minute, and has.", busy=True)
        else:
            self._began.append(now)
            task = asyncio.get_running_loop().create_task(self._make(check, plan, send), name="store-check")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Break off what runs."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(self, check: Check) -> CheckPlan | None:
        """What is to be done: way and Host are the agent's own, never the server's."""
        store = _store(check)
        own = self.plans.get(store) if store is not None else None
        if own is None:
            return None
        allowed = tuple(
            (name, value)
            for name, value in check.headers
            if name.lower().encode() in FORWARDED_FIELDS and is_extra_field_allowed(name.encode())
        )
        return replace(
            own,
            api_key=check.api_key,
            key_in=check.key_in,
            test_path=check.test_path,
            test_method=check.test_method,
            headers=allowed,
        )

    async def _make(self, check: Check, plan: CheckPlan, send: Send) -> None:
        task = asyncio.current_task()

        def tell(step: Step) -> None:
            if not _send(send, step_message(check.id, step)) and task is not None:
                task.cancel()  # nobody hears of it any more: the tunnel is gone

        report = await run_checkup(plan, tell)
        _LOG.info("store.checked", store=str(plan.rule.store), verdict=report.verdict, elapsed_ms=report.elapsed_ms)
        _send(send, done_message(check.id, report))

    @staticmethod
    def _refuse(check: Check, send: Send, sentence: str, *, busy: bool = False) -> None:
        _LOG.info("store.check_refused", host=check.host[:100], reason=sentence)
        _send(send, CheckDone(id=check.id, refusal=sentence, busy=busy))

    @staticmethod
    def _refuse_paused(check: Check, send: Send, pause: Pause) -> None:
        """As a step, which carries its own remedy: the settings of the agent are not at fault."""
        _LOG.info("store.check_refused", host=check.host[:100], reason=pause.sentence)
        step = Step(Layer.POLICY, StepState.FAILED, pause.sentence, StorePaused.remedy, StorePaused.name)
        _send(send, step_message(check.id, step))
        _send(send, CheckDone(id=check.id))


def _store(check: Check) -> Store | None:
    """The store that is meant; None for what cannot be one."""
    try:
        return make_store(check.scheme, check.host, check.port, check.base_path, check.virtual_uri, check.id_shop)
    except SettingsError:
        return None


def _to_open(check: Check) -> str:
    return f"If it is to be open, run on the agent's machine: {add_command(_store(check))}."


def _send(send: Send, message: Message) -> bool:
    """False when the tunnel is gone."""
    try:
        return send(message)
    except ControlError as error:  # our own message is too long
        _LOG.error("store.check_unsent", detail=str(error))
        return True


def step_message(check_id: str, step: Step) -> CheckStep:
    """A step as it travels."""
    return CheckStep(
        id=check_id,
        layer=step.layer.value,
        state=step.state.value,
        finding=step.finding[:1000],
        remedy=step.remedy[:1000],
        verdict=step.verdict,
        elapsed_ms=max(0.0, step.elapsed_ms),
        facts={name: value[:400] if isinstance(value, str) else value for name, value in list(step.facts.items())[:12]},
    )


def done_message(check_id: str, report: CheckReport) -> CheckDone:
    """The end as it travels; the steps have gone before."""
    permissions = None
    if report.permissions is not None:
        permissions = {
            name: "".join(INITIALS[method] for method in methods) for name, methods in report.permissions.items()
        }
    return CheckDone(
        id=check_id,
        version=report.version or "",
        permissions=permissions,
        certificate_ends_at=report.certificate_ends_at,
        elapsed_ms=max(0.0, report.elapsed_ms),
    )
