"""A whole check: layer by layer, up to the first that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agent.checkup.network import LayerFailed, Line, connect, find_addresses, secure
from agent.checkup.plan import LISTING, CheckPlan
from agent.doctor.answer import DUMMY_KEY, ProbeAnswer
from agent.doctor.answer_bytes import read_answer
from agent.doctor.certificate import Certificate
from agent.doctor.diagnose import diagnose
from agent.doctor.diagnosis import Diagnosis
from agent.doctor.layers import layer_of
from agent.doctor.permissions import read_permissions
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.errors import StoreBadResponse, StoreTimeout, StoreTlsFailed, StoreUnreachable
from agent.store_command import LIST_COMMAND, widening_command

CHECK_TIMEOUT_S: Final = 30.0

_BODY_MAX_BYTES: Final = 256 * 1024
_GIVEN_UP: Final = {Layer.DNS: StoreUnreachable, Layer.TCP: StoreUnreachable, Layer.TLS: StoreTlsFailed}

OnStep = Callable[[Step], None]


async def run_checkup(plan: CheckPlan, on_step: OnStep | None = None) -> CheckReport:
    """Check the store of ``plan``; takes at most 30 s and never raises but for cancellation.

    ``on_step`` is told each step as it is done. Redirects are not followed, and nothing is sent that the policy of
    ``plan`` would not let an exchange send.
    """
    checkup = _Checkup(plan, on_step or (lambda _step: None))
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await checkup.run()
    except LayerFailed as failure:
        checkup.done(failure.step)
    except TimeoutError:
        checkup.done(checkup.given_up())
    return checkup.report()


class _Checkup:
    def __init__(self, plan: CheckPlan, on_step: OnStep) -> None:
        self._plan = plan
        self._on_step = on_step
        self._steps: list[Step] = []
        self._began = self._step_began = time.monotonic()
        self._layer = Layer.DNS
        self._address = ""
        self._certificate: Certificate | None = None
        self._version: str | None = None
        self._permissions: dict[str, tuple[str, ...]] | None = None

    def done(self, step: Step) -> None:
        """One layer is looked at."""
        self._steps.append(step)
        self._step_began = time.monotonic()
        self._on_step(step)

    def given_up(self) -> Step:
        """The step of the layer that the check was at when its time was over."""
        error = _GIVEN_UP.get(self._layer, StoreTimeout)
        answer = ProbeAnswer(
            0, error_name=error.name, error_detail=f"The check did not end within {CHECK_TIMEOUT_S:g} s."
        )
        elapsed_ms = round((time.monotonic() - self._step_began) * 1000, 1)
        return _of(self._diagnosed(answer), self._layer, elapsed_ms)

    async def run(self) -> None:
        """Raises LayerFailed at the first layer that fails."""
        plan = self._plan
        self._judge("GET", LISTING)
        addresses, step = await find_addresses(plan)
        self.done(step)
        answer = await self._first_answer(addresses)
        self._webservice(answer)
        if plan.api_key is None:
            for layer in (Layer.KEY, Layer.PERMISSIONS):
                self.done(Step(layer, StepState.SKIPPED, "No API key was given, so that it was not looked at."))
            return
        await self._key(plan.api_key)

    def report(self) -> CheckReport:
        """What was found so far."""
        failed = next((step for step in self._steps if step.state is StepState.FAILED), None)
        certificate = self._certificate
        counted = sum(bool(methods) for methods in (self._permissions or {}).values())
        shown = f"PrestaShop {self._version}" if self._version else "The webservice"
        opened = f", {counted} resource{'' if counted == 1 else 's'} open to this key" if self._permissions else ""
        return CheckReport(
            ok=failed is None,
            verdict=failed.verdict if failed is not None else "ok",
            finding=failed.finding if failed is not None else f"{shown} answers{opened}.",
            remedy=failed.remedy if failed is not None else "",
            steps=tuple(self._steps),
            version=self._version,
            permissions=self._permissions,
            certificate_ends_at=certificate.ends_at if certificate is not None else _expired_at(failed),
            elapsed_ms=round((time.monotonic() - self._began) * 1000, 1),
        )

    # -- layers ------------------------------------------------------------------------------------------------------

    def _judge(self, method: str, path: str) -> None:
        decision = self._plan.judged(method, path)
        if not decision.allowed:
            raise LayerFailed(
                Step(
                    Layer.POLICY,
                    StepState.FAILED,
                    f"{method} {path} may not be sent: {decision.detail}",
                    f"Open it in the methods and resources of the connection, and on the machine of its agent, if any: "
                    f"{widening_command(decision, self._plan.rule) or LIST_COMMAND}.",
                    "policy_denied",
                )
            )

    async def _first_answer(self, addresses: tuple[str, ...]) -> ProbeAnswer:
        """Connection, TLS, and the answer to a key that is none."""
        plan = self._plan
        self._layer = Layer.TCP
        sock, address, step = await connect(plan, addresses)
        self.done(step)
        self._layer = Layer.TLS
        line, step = await secure(plan, sock, address)
        self._address, self._certificate = address, line.certificate
        self.done(step)
        self._layer = Layer.HTTP
        return await self._ask(line, plan.head("GET", LISTING, DUMMY_KEY), to_head=False)

    def _webservice(self, answer: ProbeAnswer) -> None:
        """Does PrestaShop's webservice answer? It is expected to refuse this key."""
        diagnosis = self._diagnosed(answer)
        elapsed_ms = round(answer.elapsed_s * 1000, 1)
        layer = layer_of(diagnosis.verdict)
        alive = diagnosis.verdict in ("key_unknown", "key_without_permission", "ok")
        if not alive and layer in (Layer.HTTP, Layer.TCP):
            raise LayerFailed(_of(diagnosis, Layer.HTTP, elapsed_ms))
        self.done(
            Step(
                Layer.HTTP,
                StepState.OK,
                f"The web server answers as a shop of this name ({answer.status}).",
                elapsed_ms=elapsed_ms,
                facts={"status": answer.status, **answer.time_facts},
            )
        )
        if diagnosis.verdict == "key_malformed":
            raise LayerFailed(
                Step(
                    Layer.WEBSERVICE,
                    StepState.FAILED,
                    f"PrestaShop got another key than the one that was sent (error {answer.code_list}): something in "
                    "front of it replaces the Authorization header.",
                    "Look at the proxy or the password protection in front of the shop: there is one Authorization "
                    "header, and it carries the API key. Exempt /api/ there.",
                    "header_replaced",
                )
            )
        if not alive:
            raise LayerFailed(_of(diagnosis, Layer.WEBSERVICE, 0.0))
        if diagnosis.verdict == "ok":
            self.done(
                Step(
                    Layer.WEBSERVICE,
                    StepState.WARNING,
                    "The webservice answered a key that does not exist: something in front of it adds one.",
                    "Look at the proxy in front of the shop: whoever reaches it has the rights of that key.",
                    "key_added_in_front",
                )
            )
            return
        self.done(Step(Layer.WEBSERVICE, StepState.OK, "The webservice is switched on and looks at keys."))

    async def _key(self, api_key: str) -> None:
        self._layer = Layer.KEY
        answer = await self._ask_anew("GET", LISTING, api_key)
        diagnosis = self._diagnosed(answer)
        elapsed_ms = round(answer.elapsed_s * 1000, 1)
        self._version = diagnosis.version
        if diagnosis.verdict == "key_without_permission":
            self.done(Step(Layer.KEY, StepState.OK, "The key is known and active.", elapsed_ms=elapsed_ms))
            raise LayerFailed(_of(diagnosis, Layer.PERMISSIONS, 0.0))
        if not diagnosis.ok:
            raise LayerFailed(_of(diagnosis, Layer.KEY, elapsed_ms))
        self.done(Step(Layer.KEY, StepState.OK, "The key is known and active.", elapsed_ms=elapsed_ms))
        self._permissions = read_permissions(answer.body)
        self._layer = Layer.PERMISSIONS
        await self._look_at_permissions(api_key)

    async def _look_at_permissions(self, api_key: str) -> None:
        plan = self._plan
        opened = {name: methods for name, methods in (self._permissions or {}).items() if methods}
        writes = sum(bool(set(methods) - {"GET", "HEAD"}) for methods in opened.values())
        facts: dict[str, str | int | float | bool] = {"resources": len(opened), "writable": writes}
        finding = f"{len(opened)} resources are open to this key, {writes} of them for writing."
        elapsed_ms = 0.0
        if plan.test_path != LISTING or plan.test_method != "GET":
            self._judge(plan.test_method, plan.test_path)
            answer = await self._ask_anew(plan.test_method, plan.test_path, api_key)
            if answer.error_name is not None:
                raise LayerFailed(_of(self._diagnosed(answer), Layer.PERMISSIONS, round(answer.elapsed_s * 1000, 1)))
            elapsed_ms = round(answer.elapsed_s * 1000, 1)
            facts["test_status"] = answer.status
            path = plan.test_path.partition("?")[0]
            if not 200 <= answer.status < 300:
                codes = f" (error {answer.code_list})" if answer.codes else ""
                raise LayerFailed(
                    Step(
                        Layer.PERMISSIONS,
                        StepState.FAILED,
                        f"{plan.test_method} {path}, the test of this connection, was answered {answer.status}{codes}.",
                        "Give the key the right to it in the back office (Advanced parameters > Webservice), or choose "
                        "another test path in the connection.",
                        "test_failed",
                        elapsed_ms,
                        facts,
                    )
                )
            finding += f" {plan.test_method} {path} is answered {answer.status}."
        self.done(Step(Layer.PERMISSIONS, StepState.OK, finding, elapsed_ms=elapsed_ms, facts=facts))

    def _diagnosed(self, answer: ProbeAnswer) -> Diagnosis:
        return diagnose(answer, self._plan.question)

    # -- asking ------------------------------------------------------------------------------------------------------

    async def _ask_anew(self, method: str, path: str, api_key: str) -> ProbeAnswer:
        """Over a connection of its own, since the store may have closed the other one."""
        try:
            sock, address, _ = await connect(self._plan, (self._address,))
            line, _ = await secure(self._plan, sock, address)
        except LayerFailed as failure:  # the layers below were seen to be well: it failed while this one was looked at
            raise LayerFailed(replace(failure.step, layer=self._layer)) from None
        return await self._ask(line, self._plan.head(method, path, api_key), to_head=method == "HEAD")

    async def _ask(self, line: Line, head: bytes, *, to_head: bool) -> ProbeAnswer:
        began = time.monotonic()
        collector = line.collector
        collector.expect(to_head=to_head)
        line.transport.write(head)
        try:
            async with asyncio.timeout(self._plan.answer_timeout_s):
                await collector.over
        except TimeoutError:
            detail = f"No whole answer came within {self._plan.answer_timeout_s:g} s."
            elapsed_s = time.monotonic() - began
            return ProbeAnswer(0, error_name=StoreTimeout.name, elapsed_s=elapsed_s, error_detail=detail)
        finally:
            line.transport.abort()
        elapsed_s = time.monotonic() - began
        if collector.is_cut:
            how = "was reset" if collector.is_reset else "was closed"
            detail = "The answer broke off before its end." if collector.raw else f"The connection {how} without one."
            return ProbeAnswer(0, error_name=StoreBadResponse.name, elapsed_s=elapsed_s, error_detail=detail)
        return read_answer(bytes(collector.raw), to_head=to_head, elapsed_s=elapsed_s, body_max_bytes=_BODY_MAX_BYTES)


def _expired_at(failed: Step | None) -> float | None:
    """When a certificate ended that was refused for it: whoever watches certificates wants to know of it, too."""
    if failed is None or failed.verdict != "certificate_expired" or "ends_at" not in failed.facts:
        return None
    return float(failed.facts["ends_at"])


def _of(diagnosis: Diagnosis, layer: Layer, elapsed_ms: float) -> Step:
    return Step(layer, StepState.FAILED, diagnosis.finding, diagnosis.remedy, diagnosis.verdict, elapsed_ms)
