"""What tests of layered checks share: a plan for a store on loopback, and how a report is read."""

from __future__ import annotations

from agent.checkup.plan import CheckPlan
from agent.doctor.layers import KNOWN_VERDICTS
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.forward.target import tls_context
from agent.policy import METHODS, Rule
from agent.store_url import Store
from tests.kit.sample_store import KEY
from tests.kit.scripted_store import Script, StoreConnection, StoreRequest


def plan_for(port: int, *, scheme: str = "http", host: str = "127.0.0.1", key: str | None = KEY) -> CheckPlan:
    store = Store(scheme, host, port, "/", "", "")
    return CheckPlan(
        rule=Rule(store, frozenset(METHODS)),
        address=host,
        port=port,
        host=store.authority,
        tls=tls_context(store, None, verify=True),
        server_name=host,
        api_key=key,
        connect_timeout_s=0.5,
        tls_timeout_s=1.0,
        answer_timeout_s=1.0,
    )


def state_of(report: CheckReport, layer: Layer) -> StepState:
    return next(step.state for step in report.steps if step.layer is layer)


def stops_at(report: CheckReport, layer: Layer, verdict: str) -> Step:
    """The check ended there, with a remedy, and nothing after it was looked at."""
    assert (report.ok, report.verdict) == (False, verdict), report
    last = report.steps[-1]
    assert (last.layer, last.state) == (layer, StepState.FAILED)
    assert report.remedy
    assert all(step.state is not StepState.FAILED for step in report.steps[:-1])
    assert verdict in KNOWN_VERDICTS, "another side would show it as something else"
    in_order(report)
    sane_times(report)
    return last


def warned(report: CheckReport, layer: Layer, verdict: str) -> Step:
    """All is well but for this warning, which has a remedy."""
    assert report.ok, report
    in_order(report)
    sane_times(report)
    (step,) = [each for each in report.steps if each.state is StepState.WARNING]
    assert (step.layer, step.verdict) == (layer, verdict)
    assert step.remedy
    return step


def in_order(report: CheckReport) -> None:
    """Each layer was looked at once, from the outermost to the innermost."""
    places = [list(Layer).index(step.layer) for step in report.steps]
    assert places == sorted(set(places)), report.steps


def sane_times(report: CheckReport) -> None:
    """No step took less than nothing, and all of them together no longer than the whole, but for what rounding adds."""
    spent_ms = [step.elapsed_ms for step in report.steps]
    assert all(each >= 0 for each in spent_ms), report.steps
    assert sum(spent_ms) <= report.elapsed_ms + 0.05 * (len(spent_ms) + 1), report


def answer(status: str, body: bytes = b"", fields: bytes = b"Content-Type: text/html\r\n") -> Script:
    async def script(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        length = b"Content-Length: " + str(len(body)).encode()
        return f"HTTP/1.1 {status}\r\n".encode() + fields + length + b"\r\nConnection: close\r\n\r\n" + body

    return script
