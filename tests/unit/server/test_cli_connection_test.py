"""``connections test``, ``try`` and ``tests`` against a server: what comes when, and how it ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.doctor.answer import ProbeAnswer
from agent.server.admin_socket import AdminSocket
from agent.server.cli.admin import AdminApi, RefusedError
from agent.server.cli.admin_events import TestEvents
from agent.server.operations.failures import ConflictError
from agent.server.routes import Route
from agent.server.settings import ServerSettings
from tests.kit.control_plane import API_KEY, ControlApi, control_api
from tests.kit.server_cli import ServerCli

LISTING = b'<prestashop><api><products get="true" head="true" post="false"/></api></prestashop>'
TRY = ("connections", "try", "--mode", "cloud", "--store-url", "https://h.example/api/", "--api-key-file", "-")


class Store:
    """A webservice that answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.was_left = asyncio.Event()
        self.answer = ProbeAnswer(200, ((b"PSWS-Version", b"8.2.4"),), LISTING, elapsed_s=0.01)
        self.failure: Exception | None = None

    async def __call__(self, _route: Route, _rest: bytes) -> ProbeAnswer:
        try:
            await self.may_answer.wait()
        finally:
            if not self.may_answer.is_set():
                self.was_left.set()
        if self.failure is not None:
            raise self.failure
        return self.answer


class Terminal:
    """``sys`` whose standard output is a terminal."""

    def __getattr__(self, name: str) -> object:
        return self if name == "stdout" else getattr(sys, name)

    def isatty(self) -> bool:
        return True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def api(cli: ServerCli, store: Store) -> AsyncIterator[ControlApi]:
    """A server with one connection, on its admin socket."""
    async with control_api(cli.data_dir, exchange=store) as opened:
        await opened.connection()
        admin = AdminSocket(opened.app, cli.data_dir / "admin.sock")
        await admin.start()
        yield opened
        await admin.close()


def admin_api(cli: ServerCli) -> AdminApi:
    return AdminApi(ServerSettings(data_dir=cli.data_dir), {})


async def test_steps_are_handed_on_while_the_test_runs(api: ControlApi, cli: ServerCli, store: Store) -> None:
    loop = asyncio.get_running_loop()
    steps: list[dict[str, Any]] = []
    policy_is_done = asyncio.Event()

    def on_step(step: dict[str, Any]) -> None:
        steps.append(step)
        if step["layer"] == "policy":
            loop.call_soon_threadsafe(policy_is_done.set)

    watching = asyncio.create_task(
        asyncio.to_thread(admin_api(cli).watch, "connections", "shop-lyon", "test", body={}, on_step=on_step)
    )
    async with asyncio.timeout(10):
        await policy_is_done.wait()
        assert len(steps) == 2, "the store has not answered yet"
        store.may_answer.set()
        report = await watching
    assert (report["ok"], report["steps"]) == (True, steps)


async def test_output_that_cannot_be_written_ends_the_test_and_is_no_failure_of_the_server(
    api: ControlApi, cli: ServerCli, store: Store
) -> None:
    def on_step(_step: dict[str, Any]) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await asyncio.to_thread(admin_api(cli).watch, "connections", "shop-lyon", "test", body={}, on_step=on_step)
    async with asyncio.timeout(10):
        await store.was_left.wait()


@pytest.mark.parametrize("terminal", [True, False])
async def test_what_is_printed(
    api: ControlApi, cli: ServerCli, store: Store, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    store.may_answer.set()
    if terminal:
        monkeypatch.setattr("agent.server.cli.connection_tests.sys", Terminal())
    said = await asyncio.to_thread(cli, "connections", "test", "Shop Lyon")
    lines = said.out.splitlines()
    outcome = next(index for index, line in enumerate(lines) if line.startswith("shop-lyon: ok, "))
    steps = [index for index, line in enumerate(lines) if line.startswith(("  ok    ", "  -     "))]
    assert (said.code, len(steps)) == (0, 9)
    assert lines[0] == "Testing Shop Lyon ..." if terminal else outcome == 0
    assert (outcome > max(steps)) is terminal
    assert any(line.split() == ["products", "yes", "yes", "-", "-", "-", "-"] for line in lines)
    store.answer = ProbeAnswer(404, (), b"<html>")
    failed = await asyncio.to_thread(cli, "connections", "test", "shop-lyon")
    assert (failed.code, "shop-lyon: FAILED (" in failed.out, "What to do: " in failed.out) == (1, True, True)
    history = (await asyncio.to_thread(cli, "connections", "tests", "shop-lyon")).out.splitlines()
    assert history[0].split() == ["WHEN", "CAUSE", "OUTCOME", "TIME", "FINDING"]
    assert len(history) == 3
    assert " by hand  ok " in history[2]
    assert len((await asyncio.to_thread(cli, "connections", "tests", "shop-lyon", "--limit", "1", "--json")).json) == 1


@pytest.mark.parametrize("terminal", [True, False])
async def test_a_connection_that_is_not_saved_is_tested_and_nothing_is_kept(
    api: ControlApi, cli: ServerCli, store: Store, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    store.may_answer.set()
    if terminal:
        monkeypatch.setattr("agent.server.cli.connection_tests.sys", Terminal())
    before = await api.call("GET", "connections"), await api.call("GET", "audit")
    tried = await asyncio.to_thread(cli, *TRY, "--header", "X-A: 1", stdin=API_KEY.encode())
    assert (tried.code, "not saved: ok, " in tried.out, API_KEY in tried.out) == (0, True, False)
    assert (await asyncio.to_thread(cli, *TRY, "--json", stdin=API_KEY.encode())).json["slug"] == ""
    short = await asyncio.to_thread(cli, *TRY, stdin=b"short")
    assert (short.code, "this one has 5" in short.err) == (1, True)
    assert (await api.call("GET", "connections"), await api.call("GET", "audit")) == before


async def test_a_refusal_in_the_middle_is_one_sentence(api: ControlApi, cli: ServerCli, store: Store) -> None:
    store.failure = ConflictError("The connection was deleted meanwhile.")
    store.may_answer.set()
    with pytest.raises(RefusedError, match="deleted meanwhile"):
        await asyncio.to_thread(
            admin_api(cli).watch, "connections", "shop-lyon", "test", body={}, on_step=lambda _step: None
        )


def test_without_a_server_nothing_is_tested_at_a_terminal_either(
    cli: ServerCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.server.cli.connection_tests.sys", Terminal())
    outcome = cli(*TRY, stdin=API_KEY.encode())
    assert (outcome.code, "integration-server serve" in outcome.err) == (1, True)
    assert "was not tested yet" not in outcome.out


def test_a_connection_that_was_never_tested_says_how(cli: ServerCli) -> None:
    create = ("connections", "create", "--name", "x", *TRY[2:])
    assert cli(*create, stdin=API_KEY.encode()).code == 0
    assert "integration-server connections test makes one" in cli("connections", "tests", "x").out
    assert cli("connections", "tests", "x", "--limit", "501").code == 2


def test_a_stream_that_breaks_off_has_no_report(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    events = TestEvents(seen.append)
    events.feed(
        [b": \n", b"\n", b"event: step\n", b'data: {"layer": "dns"}\n', b"\n", b"event: unknown\n", b"data: {}\n"]
    )
    assert (seen, events.report, events.problem) == ([{"layer": "dns"}], None, None)
