"""The test of a Cloud connection: the server looks itself, dials only what it may, and sends nobody to an agent."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.demo.store import StoreConfig
from agent.demo.store.config import Front
from agent.doctor.report import CheckReport, Layer, StepState
from agent.server.cloud import CloudForwarder
from agent.server.operations.checks import check_route
from agent.server.operations.connection_wish import ConnectionWish
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.principal import Principal, Role
from agent.server.operations.testing import check_unsaved
from agent.server.routes import Route
from agent.store_url import Store
from tests.kit.certificates import EXPIRED, NOT_YET, USUAL, CertificateAuthority, Validity
from tests.kit.checking_cluster import plane_over
from tests.kit.checkup import in_order, sane_times, stops_at
from tests.kit.cluster import Cluster, Link, loopback_store
from tests.kit.sample_store import CONFIG, KEY, running
from tests.kit.scripted_store import ScriptedStore

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
ADMIN = Principal("person:admin", Role.ADMIN)


@asynccontextmanager
async def server(folder: Path, store: Store, *allowed: str, own: str = "") -> AsyncIterator[tuple[ControlPlane, Route]]:
    """A server without agents, and the route of a Cloud connection; ``allowed`` are private addresses it may dial."""
    link = Link("shop", store, api_key=KEY)
    async with Cluster([link], mode="cloud") as cluster, plane_over(cluster, folder / "data") as plane:
        forwarder = CloudForwarder(
            cluster.gateway.context.spawn,
            allowed=[ipaddress.ip_network(each) for each in allowed],
            own=[ipaddress.ip_address(own)] if own else [],
        )
        plane.cloud_plan = forwarder.check_plan
        yield plane, link.route("cloud")


async def report_of(folder: Path, config: StoreConfig, **change: object) -> CheckReport:
    """The test of a store that may be dialed."""
    scheme = "https" if config.front.tls else "http"
    async with (
        running(config) as store,
        server(folder, loopback_store(store.port, scheme=scheme), str(LOOPBACK)) as (plane, route),
    ):
        return await check_route(plane, replace(route, **change))  # type: ignore[arg-type] # fields of it


def needs_no_agent(report: CheckReport) -> None:
    for step in report.steps:
        assert not re.search(r"agent's (machine|settings)|agent\.toml|the agent\b|ca_file", step.remedy), step
    assert report.steps[0].layer is Layer.AGENT
    assert report.steps[0].state is StepState.SKIPPED


async def test_the_server_looks_at_all_layers_itself(tmp_path: Path) -> None:
    report = await report_of(tmp_path, CONFIG)
    assert (report.ok, report.version) == (True, "8.2.4")
    assert [step.layer for step in report.steps] == list(Layer)
    needs_no_agent(report)
    in_order(report)
    sane_times(report)


@pytest.mark.parametrize(
    ("change", "layer", "verdict", "remedy"),
    [
        ({"urls": (replace(CONFIG.urls[0], domain="www.shop.example"),)}, Layer.HTTP, "wrong_host", "--shop-host"),
        ({"webservice": False}, Layer.WEBSERVICE, "webservice_off", "Enable PrestaShop's webservice"),
        ({"front": Front("fcgi")}, Layer.WEBSERVICE, "header_lost", "as ws_key on this connection"),
        ({"keys": ()}, Layer.KEY, "key_unknown", "Advanced parameters > Webservice"),
        ({"keys": (replace(CONFIG.keys[0], grants={}),)}, Layer.PERMISSIONS, "key_without_permission", "Tick"),
    ],
    ids=["host", "off", "header", "key", "permissions"],
)
async def test_the_same_is_said_of_a_store_as_through_an_agent(
    tmp_path: Path, change: dict[str, object], layer: Layer, verdict: str, remedy: str
) -> None:
    report = await report_of(tmp_path, replace(CONFIG, **change))  # type: ignore[arg-type] # fields of it
    assert remedy in stops_at(report, layer, verdict).remedy
    needs_no_agent(report)


async def test_the_shop_host_of_the_connection_is_what_the_remedy_asks_for(tmp_path: Path) -> None:
    elsewhere = replace(CONFIG, urls=(replace(CONFIG.urls[0], domain="www.shop.example"),))
    report = await report_of(tmp_path, elsewhere, shop_host="www.shop.example")
    assert report.ok


@pytest.mark.parametrize(
    ("names", "validity", "trusted", "verdict", "remedy"),
    [
        ("127.0.0.1", EXPIRED, True, "certificate_expired", "the clock of the integration server"),
        ("127.0.0.1", NOT_YET, True, "certificate_not_yet_valid", "the clock of the integration server"),
        ("other.example", USUAL, True, "certificate_wrong_name", "Use a name of the certificate"),
        ("127.0.0.1", USUAL, False, "certificate_unknown_issuer", "give it to the connection as private CA"),
    ],
)
async def test_a_certificate_is_judged_with_the_private_ca_of_the_connection(
    tmp_path: Path, names: str, validity: Validity, trusted: bool, verdict: str, remedy: str
) -> None:
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue(names, validity=validity)
    config = replace(CONFIG, front=Front(certificate=certificate, certificate_key=key))
    report = await report_of(tmp_path, config, ca_pem=authority.ca_file.read_text() if trusted else None)
    assert remedy in stops_at(report, Layer.TLS, verdict).remedy
    needs_no_agent(report)
    if verdict == "certificate_wrong_name":
        unverified = await report_of(tmp_path / "again", config, verify_tls=False)
        assert unverified.ok


@pytest.mark.parametrize("verdict", ["address_not_allowed"])
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ()),
        ("::1", ()),
        ("shop.example", ("127.0.0.1",)),
        ("shop.example", ("1.1.1.1", "10.0.0.5")),
        ("shop.example", ("169.254.169.254",)),
        ("shop.example", ("::ffff:127.0.0.1",)),
    ],
)
async def test_addresses_inside_are_refused_before_anything_is_dialed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, addresses: tuple[str, ...], verdict: str
) -> None:
    async with ScriptedStore() as listening:
        store = Store("http", host, listening.port, "/")
        async with server(tmp_path, store) as (plane, route):
            _resolves_to(monkeypatch, *addresses)
            report = await check_route(plane, route)
        dialed = len(listening.connections)
    step = stops_at(report, Layer.DNS, verdict)
    assert dialed == 0
    assert "cloud.allow_private_origins" in step.remedy
    assert "10.0.0.5" not in step.finding, "whoever may create connections must not map the network with them"


@pytest.mark.parametrize("verdict", ["address_not_allowed"])
async def test_the_servers_own_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    async with server(tmp_path, Store("http", "shop.example", 80, "/"), own="1.1.1.1") as (plane, route):
        _resolves_to(monkeypatch, "1.1.1.1")
        stops_at(await check_route(plane, route), Layer.DNS, verdict)


async def test_a_name_is_resolved_once_for_all_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, urls=(replace(CONFIG.urls[0], domain="shop.example"),))
    async with running(config) as store:
        async with server(tmp_path, Store("http", "shop.example", store.port, "/"), "127.0.0.1/32") as (plane, route):
            asked = _resolves_to(monkeypatch, "127.0.0.1")
            report = await check_route(plane, replace(route, test_path="/api/products"))
        connections = store.traffic.connections
    assert report.ok
    assert connections == 3  # the key that is none, the key, the test path
    assert asked == ["shop.example"], "another answer to a second question would not be checked"


async def test_a_connection_that_is_not_saved_is_tested_the_same_way(tmp_path: Path) -> None:
    async with running() as store, server(tmp_path, loopback_store(store.port), str(LOOPBACK)) as (plane, _):
        wish = ConnectionWish("New", "cloud", f"http://127.0.0.1:{store.port}/api/")
        good = await check_unsaved(plane, ADMIN, wish, KEY)
        bad = await check_unsaved(plane, ADMIN, wish, "K" * 32)
    assert (good.report.ok, good.connection_id, good.slug) == (True, "", "")
    stops_at(bad.report, Layer.KEY, "key_unknown")
    assert KEY not in repr(good)


def _resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """From now on every name has these addresses; the names that were asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **keywords: int) -> object:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
