"""The test of a connection through an agent: the layers of the server, and of the agent at the other end of a tunnel.

Gateway, SSH and stores are real; an agent of today is asked to check, an older one gets one exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.checkup.service import AT_ONCE_MAX
from agent.demo.store import StoreConfig
from agent.doctor.answer import ProbeAnswer
from agent.doctor.report import CheckReport, Layer, Step, StepState
from agent.policy import METHODS, Rule
from agent.server.gateway_context import GatewayLimits
from agent.server.internal import ask
from agent.server.operations.checks import check_route
from agent.server.operations.control_plane import ControlPlane
from agent.server.routes import Route
from tests.kit.checking_cluster import CheckingCluster, plane_over
from tests.kit.checkup import in_order, sane_times, stops_at, warned
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.sample_store import CONFIG, KEY, running
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest

LIMITS = GatewayLimits(park_s=0.1, park_drain_s=0.1, queue_s=0.1)


@asynccontextmanager
async def through(
    kind: type[Cluster], folder: Path, port: int, *, agent_rule: Rule | None = None, on_agent: bool = True
) -> AsyncIterator[tuple[Cluster, ControlPlane, Route]]:
    """Server and agent up, and the route of a connection to the store on this port."""
    link = Link("shop", loopback_store(port), api_key=KEY, agent_rule=agent_rule, on_agent=on_agent)
    async with kind([link], limits=LIMITS) as cluster, plane_over(cluster, folder / "data") as plane:
        yield cluster, plane, link.route("tunnel")


async def report_of(kind: type[Cluster], folder: Path, config: StoreConfig = CONFIG) -> CheckReport:
    async with running(config) as store, through(kind, folder, store.port) as (_, plane, route):
        return await check_route(plane, route)


class Silent:
    """A store that takes a request and says nothing; ``asked`` counts them."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)

    async def script(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        self.asked.release()
        await connection.until_gone()
        return None


# -- an agent of today ------------------------------------------------------------------------------------------------


async def test_all_layers_are_looked_at_in_order_and_in_time(tmp_path: Path) -> None:
    seen: list[Step] = []
    async with running() as store, through(CheckingCluster, tmp_path, store.port) as (_, plane, route):
        report = await check_route(plane, route, on_step=seen.append)
    assert (report.ok, report.verdict, report.version) == (True, "ok", "8.2.4")
    assert [step.layer for step in report.steps] == list(Layer)
    assert list(report.steps) == seen
    in_order(report)
    sane_times(report)
    assert KEY not in repr(report)


@pytest.mark.parametrize("verdict", ["tunnel_lost"])
async def test_a_tunnel_that_breaks_during_the_test(tmp_path: Path, verdict: str) -> None:
    silent = Silent()
    async with (
        ScriptedStore(silent.script) as store,
        through(CheckingCluster, tmp_path, store.port) as (cluster, plane, route),
    ):
        checking = asyncio.create_task(check_route(plane, route))
        await silent.asked.acquire()
        cluster.cut_tunnels()
        report = await checking
    assert (report.ok, report.verdict) == (False, verdict)
    assert "broke off during the check" in report.finding
    assert report.remedy


@pytest.mark.parametrize("verdict", ["agent_busy"])
async def test_an_agent_that_makes_other_checks_forbids_nothing(tmp_path: Path, verdict: str) -> None:
    silent = Silent()
    async with (
        ScriptedStore(silent.script) as store,
        through(CheckingCluster, tmp_path, store.port) as (_, plane, route),
    ):
        others = [asyncio.create_task(check_route(plane, route)) for _ in range(AT_ONCE_MAX)]
        for _ in others:
            await silent.asked.acquire()
        report = await check_route(plane, route)
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    assert (report.ok, report.verdict, report.steps[-1].layer) == (False, verdict, Layer.AGENT)
    assert (report.finding, report.remedy) == ("The agent is making 2 other checks.", "Test again in a minute.")


@pytest.mark.parametrize("verdict", ["agent_draining"])
async def test_an_agent_that_is_about_to_leave_is_warned_of_and_asked_all_the_same(
    tmp_path: Path, verdict: str
) -> None:
    async with running() as store, through(CheckingCluster, tmp_path, store.port) as (cluster, plane, route):
        for tunnel in cluster.tunnels:
            cluster.registry.set_leaving(tunnel, "the agent is stopping")
        report = await check_route(plane, route)
    assert "about to leave" in warned(report, Layer.AGENT, verdict).finding


@pytest.mark.parametrize("verdict", ["connection_disabled"])
async def test_a_connection_that_is_disabled_can_be_tested_and_says_so(tmp_path: Path, verdict: str) -> None:
    async with running() as store, through(CheckingCluster, tmp_path, store.port) as (_, plane, route):
        report = await check_route(plane, replace(route, enabled=False))
    assert "Enable the connection" in warned(report, Layer.POLICY, verdict).remedy


@pytest.mark.parametrize(
    ("agent_methods", "own_methods", "on_agent", "finding", "remedy"),
    [
        (
            METHODS,
            METHODS,
            False,
            "The settings of the agent do not open http://",
            "Run on its machine: prestashop-agent stores add http://127.0.0.1:",
        ),
        (("POST",), METHODS, True, "The settings of the agent do not allow GET /api/", "--methods read."),
        (METHODS, ("POST",), True, "The connection itself does not allow GET /api/", "of the connection"),
    ],
    ids=["not opened", "agent", "connection"],
)
@pytest.mark.parametrize("verdict", ["policy_denied"])
async def test_what_is_not_open_is_said_by_whom_and_where_to_open_it(
    tmp_path: Path,
    agent_methods: tuple[str, ...],
    own_methods: tuple[str, ...],
    on_agent: bool,
    finding: str,
    remedy: str,
    verdict: str,
) -> None:
    async with ScriptedStore() as store:
        rule = Rule(loopback_store(store.port), frozenset(agent_methods))
        async with through(CheckingCluster, tmp_path, store.port, agent_rule=rule, on_agent=on_agent) as (
            _,
            plane,
            route,
        ):
            report = await check_route(plane, replace(route, rule=replace(route.rule, methods=frozenset(own_methods))))
        asked = len(store.connections)
    step = stops_at(report, Layer.POLICY, verdict)
    assert finding in step.finding
    assert remedy in step.remedy
    assert asked == 0


# -- an older agent, which cannot be asked to check -------------------------------------------------------------------


async def test_an_older_agent_gets_one_exchange_and_no_layer_is_made_up(tmp_path: Path) -> None:
    report = await report_of(Cluster, tmp_path)
    assert (report.ok, report.version) == (True, "8.2.4")
    assert [step.layer for step in report.steps] == list(Layer)
    unseen = {step.layer for step in report.steps if step.state is StepState.SKIPPED}
    assert unseen == {Layer.DNS, Layer.TCP, Layer.TLS}
    assert report.permissions is not None
    assert report.permissions["products"] == METHODS


@pytest.mark.parametrize(
    ("change", "layer", "verdict"),
    [
        ({"webservice": False}, Layer.WEBSERVICE, "webservice_off"),
        ({"front": replace(CONFIG.front, style="fcgi")}, Layer.WEBSERVICE, "header_lost"),
        ({"keys": ()}, Layer.KEY, "key_unknown"),
        ({"keys": (replace(CONFIG.keys[0], grants={}),)}, Layer.PERMISSIONS, "key_without_permission"),
        ({"urls": (replace(CONFIG.urls[0], domain="www.shop.example"),)}, Layer.HTTP, "wrong_host"),
    ],
    ids=["off", "header", "key", "permissions", "host"],
)
async def test_through_an_older_agent_the_same_is_said_of_a_store(
    tmp_path: Path, change: dict[str, object], layer: Layer, verdict: str
) -> None:
    report = await report_of(Cluster, tmp_path, replace(CONFIG, **change))  # type: ignore[arg-type] # fields of it
    stops_at(report, layer, verdict)


@pytest.mark.parametrize("verdict", ["store_unreachable"])
async def test_below_http_an_older_agent_says_only_that_it_failed(tmp_path: Path, verdict: str) -> None:
    async with ScriptedStore() as store:
        port = store.port
    async with through(Cluster, tmp_path, port) as (_, plane, route):
        report = await check_route(plane, route)
    step = stops_at(report, Layer.TCP, verdict)
    assert "refused the connection" in step.finding
    assert [each.finding for each in report.steps if each.layer is Layer.DNS] == ["Not visible from here."]


async def test_fields_that_change_the_answer_are_left_out_of_that_exchange(tmp_path: Path) -> None:
    async with running() as store, through(Cluster, tmp_path, store.port) as (_, plane, route):
        report = await check_route(plane, replace(route, headers=(("Output-Format", "JSON"),)))
    assert report.ok, "as JSON, PHP 8 answers with an empty 500"


@pytest.mark.parametrize(
    ("verdict", "finding"),
    [
        ("agent_offline", "is not connected"),
        ("server_draining", "is restarting"),
        ("connection_busy", "It waited 0.1 s for its turn."),
    ],
)
async def test_what_comes_between_is_the_servers_own_layer(tmp_path: Path, verdict: str, finding: str) -> None:
    silent = Silent()
    async with ScriptedStore(silent.script) as store, through(Cluster, tmp_path, store.port) as (cluster, plane, route):
        asking = plane.exchange
        assert asking is not None
        first = asyncio.create_task(_nothing())

        async def meanwhile(route: Route, rest: bytes) -> ProbeAnswer:
            nonlocal first
            if verdict == "connection_busy":
                first = asyncio.create_task(asking(route, rest))  # type: ignore[arg-type] # a coroutine
                await silent.asked.acquire()
            else:
                for tunnel in cluster.tunnels:
                    cluster.registry.set_draining(tunnel, "it goes")
                if verdict == "server_draining":
                    cluster.gateway.context.refuse_waiting()
                else:
                    for agent in cluster.running:
                        await agent.stop()
                    await cluster.wait_tunnels(0)
            return await asking(route, rest)

        plane.exchange = meanwhile
        report = await check_route(plane, replace(route, concurrency=1))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert (report.ok, report.verdict, report.steps[-1].layer) == (False, verdict, Layer.AGENT)
    assert finding in report.finding
    assert report.remedy


@pytest.mark.parametrize(("drained", "verdict"), [(True, "agent_offline"), (False, "store_timeout")])
async def test_a_store_is_not_blamed_for_a_tunnel_that_did_not_come(drained: bool, verdict: str) -> None:
    silent = Silent()
    async with ScriptedStore(silent.script) as store:
        link = Link("shop", loopback_store(store.port))
        async with Cluster([link], limits=GatewayLimits(park_drain_s=60.0)) as cluster:
            for tunnel in cluster.tunnels if drained else ():
                cluster.registry.set_draining(tunnel, "it goes, and says that it comes back")
            answer = await ask(cluster.gateway.context, link.route("tunnel"), b"GET", b"/api/", timeout_s=0.2)
    assert answer.error_name == verdict
    assert answer.error_detail.endswith("came within 0.2 s.")


async def _nothing() -> None:
    """For a task that ends at once."""
