"""The server's side of a check: what a lying, silent or vanishing agent can make of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

import pytest

from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.policy import METHODS, Rule
from agent.server import remote_check
from agent.server.agent_record import AgentRecord
from agent.server.registry import Registry
from agent.server.remote_check import can_check, check_through
from agent.server.routes import Route
from agent.server.tunnel import Tunnel
from agent.store_url import Store
from agent.streams import ByteSession
from agent.tunnel.check_messages import STEPS_MAX, Check, CheckDone, CheckStep
from agent.tunnel.messages import ControlError, Goodbye, Grant, Hello, Message, decode

SHOP = Store("http", "shop.test", 80, "/")
RECORD = AgentRecord("a", "name")
KEY = "CANARY0API0KEY0CANARY0API0KEY012"
ROUTE = Route(
    connection_id="id",
    slug="shop",
    name="shop",
    mode="on-premise",
    agent_id="a",
    store=SHOP,
    enabled=True,
    api_key=KEY,
    key_in="basic",
    rule=Rule(SHOP, frozenset(METHODS)),
    concurrency=8,
    headers=(("X-Long", "v" * 1024),),
)


class Link:
    """The connection under a tunnel."""

    async def open_channel(self, session: ByteSession) -> None:
        raise NotImplementedError

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None:
        """Nothing to close."""

    def drain(self, reason: str, retry_after_s: float | None) -> None:
        """Nothing to drain."""


class Agent:
    """A tunnel whose agent answers a check with ``lines`` of its own."""

    def __init__(self, *lines: str, features: tuple[str, ...] = ("check",)) -> None:
        self.registry = Registry()
        hello = Hello(version="1", instance_id="i", stores=[Grant.from_rule(ROUTE.rule)], features=list(features))
        self.tunnel = Tunnel.from_hello(RECORD, hello, Link(), "127.0.0.1", 0.0)
        self.registry.add(self.tunnel)
        self.asked: list[Message] = []
        self.on_asked: Callable[[], None] = lambda: None
        self._lines = lines
        self.tunnel.say = self._say

    def _say(self, message: Message) -> bool:
        self.asked.append(message)
        assert isinstance(message, Check)
        for line in self._lines:
            told = decode(json.dumps({"id": message.id, **json.loads(line)}).encode())
            assert isinstance(told, CheckStep | CheckDone)
            self.tunnel.inbox[message.id](told)
        self.on_asked()
        return True

    async def report(self, seen: list[Step] | None = None) -> CheckReport:
        told: list[Step] = [] if seen is None else seen
        report = await check_through(self.registry, self.tunnel, ROUTE, told.append)
        assert tuple(told) == report.steps  # the page saw what the report says
        assert self.tunnel.inbox == {}
        return report


def step(**more: object) -> str:
    return json.dumps({"type": "check_step", "layer": "dns", "state": "ok"} | more)


def done(**more: object) -> str:
    return json.dumps({"type": "check_done"} | more)


async def test_a_whole_check_becomes_a_report_with_the_headers_as_they_are() -> None:
    agent = Agent(step(finding="found"), done(version="8.2.4", permissions={"products": "GHUA"}))
    report = await agent.report()
    assert (report.ok, report.version) == (True, "8.2.4")
    assert report.permissions == {"products": ("GET", "HEAD", "PUT", "PATCH")}
    (asked,) = agent.asked
    assert isinstance(asked, Check)
    assert asked.headers == [("X-Long", "v" * 1024)]
    assert KEY not in repr(asked)


async def test_an_agent_that_ends_without_looking_is_not_believed() -> None:
    report = await Agent(done(version="8.2.4", permissions={"products": "G"})).report()
    assert (report.ok, report.verdict) == (False, "tunnel_lost")


async def test_a_refusal_is_told_escaped() -> None:
    report = await Agent(done(refusal="no\x1b[31m\r\nway")).report()
    assert report.verdict == "policy_denied"
    assert report.finding.isprintable()


async def test_texts_of_an_agent_are_escaped_and_unknown_verdicts_are_not_passed_on() -> None:
    lying = step(state="failed", verdict="pwned", finding="a\x1b[2J\nb", remedy="c\x00", facts={"x": "d\u202ee"})
    report = await Agent(lying, done()).report()
    (told,) = report.steps
    assert told.verdict == "unexpected_status"
    assert all(str(text).isprintable() for text in (told.finding, told.remedy, *told.facts.values()))


async def test_a_failure_without_a_verdict_is_a_failure_still() -> None:
    report = await Agent(step(state="failed", verdict="ok"), done()).report()
    assert (report.ok, report.verdict) == (False, "unexpected_status")


async def test_steps_are_bounded_and_unknown_layers_passed_over() -> None:
    report = await Agent(step(layer="quantum"), *[step()] * (STEPS_MAX + 30), done()).report()
    assert len(report.steps) == STEPS_MAX
    assert {each.layer for each in report.steps} == {Layer.DNS}


async def test_what_comes_after_the_end_changes_nothing() -> None:
    report = await Agent(step(), done(), step(state="failed", verdict="dns_failed")).report()
    assert report.ok


@pytest.mark.parametrize(
    "line",
    [
        step(facts={"n": 10**4000}),
        step(facts={"a b": 1}),
        step(facts={f"n{number}": 1 for number in range(13)}),
        step(finding="x" * 1001),
        step(elapsed_ms=-1),
        done(permissions={"products": "GX"}),
        done(permissions={"<b>": "G"}),
        done(permissions={f"r{number}": "G" for number in range(301)}),
        done(version="<script>"),
        done(certificate_ends_at=1e13),
    ],
)
def test_values_out_of_bounds_are_refused(line: str) -> None:
    with pytest.raises(ControlError):
        decode(json.dumps({"id": "c", **json.loads(line)}).encode())


async def test_a_tunnel_that_breaks_ends_the_check_at_once() -> None:
    agent = Agent(step())
    agent.on_asked = lambda: agent.registry.remove(agent.tunnel, "lost")
    report = await agent.report()
    assert (report.ok, report.verdict) == (False, "tunnel_lost")
    assert "broke off" in report.finding


async def test_an_agent_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_check, "PATIENCE_S", 0.05)
    report = await Agent(step()).report()
    assert [each.state for each in report.steps] == [StepState.OK, StepState.FAILED]
    assert report.verdict == "tunnel_lost"


async def test_an_agent_that_is_cancelled_leaves_nothing_behind() -> None:
    agent = Agent(step())
    task = asyncio.create_task(check_through(agent.registry, agent.tunnel, ROUTE, lambda _step: None))
    async with asyncio.timeout(5):
        while not agent.asked:  # noqa: ASYNC110 - one turn of the loop
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert agent.tunnel.inbox == {}


@pytest.mark.parametrize(("features", "able"), [((), False), (("dance",), False), (("dance", "check"), True)])
def test_an_older_agent_is_not_asked(features: tuple[str, ...], able: bool) -> None:
    assert can_check(Agent(features=features).tunnel) is able


async def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        await Agent(step(), done()).report()
    assert KEY not in caplog.text + "".join(capsys.readouterr())
