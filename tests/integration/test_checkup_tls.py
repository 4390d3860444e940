"""A layered check of a store over TLS: what is said of its certificate. The stores are real sockets."""

from __future__ import annotations

import asyncio
import datetime
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.checkup.run import run_checkup
from agent.doctor.diagnosis import Mode
from agent.doctor.report import CheckReport, Layer, StepState
from agent.forward.target import tls_context
from tests.kit.certificates import EXPIRED, NOT_YET, USUAL, CertificateAuthority, Validity, context_of
from tests.kit.checkup import answer, plan_for, sane_times, state_of, stops_at, warned
from tests.kit.sample_store import CONFIG, running
from tests.kit.scripted_store import ScriptedStore

HERE = "127.0.0.1"


@dataclass(frozen=True)
class Shown:
    """What a store shows to who connects, and what that one trusts (None: what the system trusts)."""

    tls: ssl.SSLContext
    trusted: Path | None


def good(folder: Path) -> Shown:
    authority = CertificateAuthority(folder)
    return Shown(authority.server_context(HERE, validity=Validity(ends_days=300)), authority.ca_file)


def expired(folder: Path) -> Shown:
    authority = CertificateAuthority(folder)
    return Shown(authority.server_context(HERE, validity=EXPIRED), authority.ca_file)


def expired_above(folder: Path) -> Shown:
    authority = CertificateAuthority(folder, validity=EXPIRED)
    return Shown(authority.server_context(HERE), authority.ca_file)


def not_yet(folder: Path) -> Shown:
    authority = CertificateAuthority(folder)
    return Shown(authority.server_context(HERE, validity=NOT_YET), authority.ca_file)


def other_names(folder: Path) -> Shown:
    authority = CertificateAuthority(folder)
    return Shown(authority.server_context("shop.example.com", "www.shop.example.com"), authority.ca_file)


def other_address(folder: Path) -> Shown:
    authority = CertificateAuthority(folder)
    return Shown(authority.server_context("127.0.0.2"), authority.ca_file)


def unknown_issuer(folder: Path) -> Shown:
    return Shown(CertificateAuthority(folder).server_context(HERE), None)


def other_issuer(folder: Path) -> Shown:
    return replace(unknown_issuer(folder), trusted=CertificateAuthority(folder, "Another CA").ca_file)


def self_signed(folder: Path) -> Shown:
    return Shown(context_of(*CertificateAuthority(folder).issue(HERE, self_signed=True)), None)


async def report_of(shown: Shown, *, mode: Mode = "on-premise", verify: bool = True) -> CheckReport:
    async with ScriptedStore(answer("404 Not Found"), tls=shown.tls) as store:
        plan = plan_for(store.port, scheme="https")
        report = await run_checkup(
            replace(plan, mode=mode, tls=tls_context(plan.rule.store, shown.trusted, verify=verify))
        )
        asked = len(store.requests)
    assert asked == (1 if state_of(report, Layer.TLS) is not StepState.FAILED else 0)
    return report


@pytest.mark.parametrize("mode", ["on-premise", "cloud"])
@pytest.mark.parametrize(
    ("show", "verdict", "finding", "remedy"),
    [
        (expired, "certificate_expired", "has expired: it ended on", "Renew it on the shop's web server"),
        (expired_above, "certificate_expired", "above that of the store has expired", "Install the whole chain"),
        (not_yet, "certificate_not_yet_valid", "not valid yet, before", "Check the clock of"),
        (other_names, "certificate_wrong_name", "for shop.example.com, www.shop.example.com, and not", "Use a name of"),
        (other_address, "certificate_wrong_name", 'for 127.0.0.2, and not for "127.0.0.1"', "Use a name of"),
        (unknown_issuer, "certificate_unknown_issuer", "signed by Test CA", "If the shop has a private CA"),
        (other_issuer, "certificate_unknown_issuer", "signed by Test CA", "If the shop has a private CA"),
        (self_signed, "certificate_unknown_issuer", "signed by itself", "Install one of a public authority"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_a_certificate_that_is_refused_says_why_and_what_to_do(
    tmp_path: Path, show: Callable[[Path], Shown], verdict: str, finding: str, remedy: str, mode: Mode
) -> None:
    step = stops_at(await report_of(show(tmp_path), mode=mode), Layer.TLS, verdict)
    assert finding in step.finding
    assert remedy in step.remedy
    assert set(step.facts) == {"issuer", "names", "ends_at", "self_signed"}
    if mode == "cloud":
        assert not re.search(r"agent", step.finding + step.remedy), "mode Cloud has no agent to look at"


async def test_dates_and_the_clock_are_named(tmp_path: Path) -> None:
    today = datetime.datetime.now(datetime.UTC)
    step = (await report_of(expired(tmp_path))).steps[-1]
    assert f"{today - datetime.timedelta(days=1):%Y-%m-%d}" in step.finding
    assert f"which says {today:%Y-%m-%d}" in step.remedy


async def test_when_an_expired_certificate_ended_is_known_to_who_watches_certificates(tmp_path: Path) -> None:
    report = await report_of(expired(tmp_path))
    assert report.certificate_ends_at == report.steps[-1].facts["ends_at"]
    assert (await report_of(other_names(tmp_path))).certificate_ends_at is None, "that one may not be the shop's"


@pytest.mark.parametrize("verdict", ["certificate_ends"])
async def test_a_certificate_that_ends_soon_is_warned_of(tmp_path: Path, verdict: str) -> None:
    certificate, key = CertificateAuthority(tmp_path).issue(HERE, validity=USUAL)
    front = replace(CONFIG.front, certificate=certificate, certificate_key=key)
    async with running(replace(CONFIG, front=front)) as store:
        plan = plan_for(store.port, scheme="https")
        report = await run_checkup(
            replace(plan, tls=tls_context(plan.rule.store, tmp_path / "test-ca.pem", verify=True))
        )
    step = warned(report, Layer.TLS, verdict)
    assert "of Test CA ends in 20.0 days" in step.finding
    assert (step.facts["issuer"], step.facts["names"]) == ("Test CA", HERE)
    assert report.certificate_ends_at == step.facts["ends_at"]


async def test_a_good_certificate_of_a_private_ca(tmp_path: Path) -> None:
    report = await report_of(good(tmp_path))
    assert state_of(report, Layer.TLS) is StepState.OK
    sane_times(report)


async def test_a_self_signed_certificate_can_be_trusted_as_the_remedy_says(tmp_path: Path) -> None:
    certificate, key = CertificateAuthority(tmp_path).issue(HERE, self_signed=True)
    report = await report_of(Shown(context_of(certificate, key), certificate))
    assert state_of(report, Layer.TLS) is not StepState.FAILED


@pytest.mark.parametrize("verdict", ["unverified"])
@pytest.mark.parametrize(("mode", "where"), [("on-premise", "verify = false"), ("cloud", "in the connection")])
async def test_a_certificate_that_is_not_checked_is_warned_of(
    tmp_path: Path, mode: Mode, where: str, verdict: str
) -> None:
    report = await report_of(other_names(tmp_path), mode=mode, verify=False)
    (step,) = [step for step in report.steps if step.layer is Layer.TLS]
    assert (step.state, step.verdict) == (StepState.WARNING, verdict)
    assert "not checked" in step.finding
    assert where in step.remedy


@pytest.mark.parametrize("verdict", ["store_tls_failed"])
async def test_https_to_a_plain_port(verdict: str) -> None:
    async with ScriptedStore() as store:
        report = await run_checkup(replace(plan_for(store.port, scheme="https"), tls_timeout_s=0.2))
    step = stops_at(report, Layer.TLS, verdict)
    assert "http or https in the store URL" in step.remedy


@pytest.mark.parametrize("verdict", ["store_tls_failed"])
async def test_a_store_that_knows_only_old_tls(tmp_path: Path, verdict: str) -> None:
    shown = good(tmp_path)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        shown.tls.maximum_version = ssl.TLSVersion.TLSv1_1
    assert "TLS (1.2 or newer)" in stops_at(await report_of(shown), Layer.TLS, verdict).remedy


async def test_a_check_leaves_no_connection_behind(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    async with ScriptedStore(answer("404 Not Found"), tls=authority.server_context(HERE)) as store:
        plan = plan_for(store.port, scheme="https")
        for ca_file in (authority.ca_file, None):
            await run_checkup(replace(plan, tls=tls_context(plan.rule.store, ca_file, verify=True)))
        async with asyncio.timeout(5):
            await store.wait_for_connections_closed(len(store.connections))
        assert store.closed == len(store.connections)
