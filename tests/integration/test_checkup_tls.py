"""A layered check of a store over TLS: what is said of its certificate. The stores are real sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.checkup.run import run_checkup
from agent.doctor.report import CheckReport, Layer, StepState
from agent.forward.target import tls_context
from tests.kit.certificates import CertificateAuthority
from tests.kit.checkup import answer, plan_for, state_of, stops_at
from tests.kit.scripted_store import ScriptedStore


async def tls_report(
    folder: Path, *names: str, expired: bool = False, trusted: bool = True, verify: bool = True
) -> CheckReport:
    authority = CertificateAuthority(folder)
    context = authority.server_context(*names, expired=expired)
    async with ScriptedStore(answer("404 Not Found"), tls=context) as store:
        plan = plan_for(store.port, scheme="https")
        ca_file = authority.ca_file if trusted else None
        return await run_checkup(replace(plan, tls=tls_context(plan.rule.store, ca_file, verify=verify)))


async def test_a_good_certificate_of_a_private_ca(tmp_path: Path) -> None:
    report = await tls_report(tmp_path, "127.0.0.1")
    step = next(step for step in report.steps if step.layer is Layer.TLS)
    assert step.state is StepState.WARNING  # it ends in 20 days
    assert (step.verdict, step.facts["issuer"], step.facts["names"]) == ("certificate_ends", "Test CA", "127.0.0.1")
    assert report.certificate_ends_at == step.facts["ends_at"]


@pytest.mark.parametrize(
    ("names", "expired", "trusted", "verdict", "part"),
    [
        (("127.0.0.1",), True, True, "certificate_expired", "has expired"),
        (("shop.example.com", "www.shop.example.com"), False, True, "certificate_wrong_name", "shop.example.com, www"),
        (("127.0.0.1",), False, False, "certificate_unknown_issuer", "signed by Test CA"),
    ],
)
async def test_a_certificate_that_is_refused_says_why(
    tmp_path: Path, names: tuple[str, ...], expired: bool, trusted: bool, verdict: str, part: str
) -> None:
    report = await tls_report(tmp_path, *names, expired=expired, trusted=trusted)
    step = stops_at(report, Layer.TLS, verdict)
    assert part in step.finding


async def test_a_certificate_that_is_not_checked_is_warned_of(tmp_path: Path) -> None:
    report = await tls_report(tmp_path, "other.example.com", verify=False)
    assert state_of(report, Layer.TLS) is StepState.WARNING
    assert "not checked" in next(step.finding for step in report.steps if step.layer is Layer.TLS)


async def test_https_to_a_plain_port() -> None:
    async with ScriptedStore() as store:
        report = await run_checkup(plan_for(store.port, scheme="https"))
    stops_at(report, Layer.TLS, "store_tls_failed")


async def test_a_check_leaves_no_connection_behind(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    async with ScriptedStore(answer("404 Not Found"), tls=authority.server_context("127.0.0.1")) as store:
        plan = plan_for(store.port, scheme="https")
        for ca_file in (authority.ca_file, None):
            await run_checkup(replace(plan, tls=tls_context(plan.rule.store, ca_file, verify=True)))
        async with asyncio.timeout(5):
            await store.wait_for_connections_closed(len(store.connections))
        assert store.closed == len(store.connections)
