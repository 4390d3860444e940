"""What the doctor says of this machine: files, processes and units that are broken; pages in ``doctor_golden``."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import agent
from agent.doctor.examination import Examination
from agent.doctor.finding import OwnLayer, Subject
from agent.doctor.report import StepState
from agent.doctor.verdicts import OWN_VERDICTS
from agent.errors import EXIT_SETTINGS
from agent.examination.examine import Scope, examine
from agent.instance import Instance
from agent.local_socket import SOCKET_NAME, LocalSocket
from tests.kit.agent_place import Place
from tests.kit.golden import compare, page_of

ONLY_MACHINE = Scope(stores=(), servers=False)
STORE = '[[stores]]\nurl = "https://shop.example.com/api/"\n'


async def _examined(place: Place, *, path: Path | None = None, scope: Scope = ONLY_MACHINE) -> Examination:
    environ = place.environ({"PATH": str(path or "")})
    return await examine(place.config, environ, {}, is_root=False, scope=scope)


async def _compared(name: str, place: Place, *, path: Path | None = None) -> Examination:
    """The page has what is wrong, and what an idle machine has by nature is left out."""
    examination = await _examined(place, path=path)
    wrong = [each for each in examination.findings if each.verdict not in {"", "agent_not_running"} or each.hides]
    if name == "agent_not_running":
        wrong = list(examination.warnings)
    assert name in {each.verdict for each in wrong}
    assert {each.verdict for each in wrong} - {""} <= OWN_VERDICTS
    compare(name, page_of(wrong, {str(place.root): "DIR", tempfile.gettempdir(): "TMP"}))
    return examination


def _bad_toml(place: Place) -> None:
    place.config.write_text(f'token_file = "{place.token}"\ntunnels = 2 2\n')


def _open_settings(place: Place) -> None:
    place.write(STORE)
    place.config.chmod(0o664)


def _no_token(place: Place) -> None:
    place.write(STORE)
    place.token.unlink()


def _state_is_a_file(place: Place) -> None:
    place.write(STORE)
    place.state.write_text("")


def _open_state(place: Place) -> None:
    place.write(STORE)
    place.state.mkdir()
    place.state.chmod(0o777)


FILES: dict[str, Callable[[Place], None]] = {
    "settings_unusable": _bad_toml,
    "proxy_settings_unusable": lambda place: place.write(STORE + '[proxy]\nurl = "ftp://user:hidden-one@x"\n'),
    "settings_writable_by_others": _open_settings,
    "no_store_open": lambda place: place.write(),
    "token_missing": _no_token,
    "token_open_to_others": lambda place: place.write(STORE, mode=0o644),
    "token_unusable": lambda place: place.write(STORE, token="psa1_AAAA"),
    "state_not_writable": _state_is_a_file,
    "state_open_to_others": _open_state,
    "agent_not_running": lambda place: place.write(STORE),
}


@pytest.mark.parametrize("name", FILES)
async def test_files(name: str, place: Place) -> None:
    FILES[name](place)
    examination = await _compared(name, place)
    unusable = name in {"settings_unusable", "proxy_settings_unusable"} or name.startswith("token_")
    assert examination.exit_code == (EXIT_SETTINGS if unusable else 0)
    assert examination.settings_usable is not unusable


async def test_what_needs_no_settings_is_looked_at_without_them(place: Place) -> None:
    _bad_toml(place)
    examination = await examine(
        place.config, {"HOME": str(place.root), "PATH": ""}, {"token_file": place.token}, is_root=False
    )
    looked = {each.layer for each in examination.findings if each.state is not StepState.SKIPPED}
    assert looked >= {OwnLayer.TOKEN, OwnLayer.STATE, OwnLayer.PROCESS, OwnLayer.VERSIONS}
    rest = [each for each in examination.findings if each.subject is not Subject.MACHINE]
    compare("settings_unusable-rest", page_of(rest, {}))


async def test_a_token_of_somebody_else(place: Place) -> None:
    with tempfile.TemporaryDirectory() as open_to_all, _nobody():
        folder = Path(open_to_all)
        _as_root(lambda: folder.chmod(0o755))
        elsewhere = Place(folder)
        _as_root(lambda: elsewhere.write(STORE))
        _as_root(lambda: elsewhere.config.chmod(0o644))
        _as_root(lambda: elsewhere.token.chmod(0 if os.getuid() else 0o600))
        examination = await _examined(elsewhere)
    (wrong,) = examination.failed
    compare("token_unreadable", page_of([wrong], {str(folder): "DIR"}))


@contextmanager
def _nobody() -> Iterator[None]:
    """Root's files are closed to us for a while, where we are root."""
    if os.getuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def _as_root(do: Callable[[], object]) -> None:
    if os.getuid() != 0:
        do()
        return
    os.seteuid(0)
    try:
        do()
    finally:
        os.seteuid(65534)


# -- the running agent -----------------------------------------------------------------------------------------------


def _report(**fields: Any) -> dict[str, Any]:
    ending = {"reason": "unreachable", "detail": ""}
    tunnel = {"state": "waiting", "last_ending": ending}
    running = {"version": agent.__version__, "pid": os.getpid(), "state": "connecting", "tunnels": [tunnel]}
    return {**running, **fields}


RUNNING = {
    "agent_not_connected": _report(),
    "agent_other_version": _report(version="0.0.9", state="ready"),
    "agent_not_asked": {"error": {"name": "busy", "message": "The agent is busy: ask again."}},
}


@pytest.mark.parametrize("name", RUNNING)
async def test_a_running_agent(name: str, place: Place) -> None:
    place.write(STORE)
    (place.root / "run").mkdir(mode=0o700)
    socket = LocalSocket(place.root / "run" / SOCKET_NAME)
    socket.on("status", lambda _request: RUNNING[name])
    async with socket:
        examination = await _compared(name, place)
    assert examination.exit_code == 0


async def test_an_agent_that_is_well(place: Place) -> None:
    place.write(STORE)
    (place.root / "run").mkdir(mode=0o700)
    socket = LocalSocket(place.root / "run" / SOCKET_NAME)
    socket.on("status", lambda _request: _report(state="ready", tunnels=[{"state": "ready", "last_ending": None}]))
    async with socket:
        examination = await _examined(place)
    assert examination.warnings == ()
    (process,) = [each for each in examination.findings if each.layer is OwnLayer.PROCESS]
    assert (process.state, process.facts["ready"]) == (StepState.OK, 1)


async def test_a_running_agent_of_another_time_says_other_things(place: Place) -> None:
    place.write(STORE)
    (place.root / "run").mkdir(mode=0o700)
    socket = LocalSocket(place.root / "run" / SOCKET_NAME)
    socket.on("status", lambda _request: {"version": "9.0", "tunnels": [{"name": "a"}]})
    async with socket:
        examination = await _examined(place)
    assert [each.verdict for each in examination.warnings] == ["agent_other_version"]


async def test_a_state_directory_whose_agent_does_not_answer(place: Place) -> None:
    place.write(STORE)
    with Instance.claim(place.state):
        examination = await _compared("agent_without_socket", place)
        (state,) = [each for each in examination.findings if each.layer is OwnLayer.STATE]
        assert f"process {os.getpid()}" in state.finding
        with pytest.raises(Exception, match="Another prestashop-agent"):
            Instance.claim(place.state)


async def test_nothing_is_made_where_nothing_was(place: Place) -> None:
    before = sorted(place.root.rglob("*"))
    await _examined(place)
    assert sorted(place.root.rglob("*")) == before


# -- systemd ---------------------------------------------------------------------------------------------------------

UNITS = {
    "service_failed": "ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78",
    "service_restarting": "ActiveState=activating\nSubState=auto-restart\nNRestarts=17",
    "service_stopped": "ActiveState=inactive\nSubState=dead\nUnitFileState=disabled",
    "service_not_enabled": "ActiveState=active\nSubState=running\nUnitFileState=disabled",
}


@pytest.mark.parametrize("name", UNITS)
async def test_a_unit(name: str, place: Place) -> None:
    place.write(STORE)
    examination = await _compared(name, place, path=_systemctl(place, f"LoadState=loaded\n{UNITS[name]}"))
    assert examination.exit_code == (name == "service_failed")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled", StepState.OK),
        ("LoadState=not-found\nActiveState=inactive\nSubState=dead", StepState.SKIPPED),
        ("'; exit 1; '", StepState.SKIPPED),
    ],
)
async def test_a_unit_that_is_well_or_not_there(answer: str, state: StepState, place: Place) -> None:
    examination = await _examined(place, path=_systemctl(place, answer))
    (service,) = [each for each in examination.findings if each.layer is OwnLayer.SERVICE]
    assert service.state is state


def _systemctl(place: Place, answer: str) -> Path:
    """A systemctl that gives this answer about our unit; the test machine may run without systemd."""
    folder = place.root / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n[ \"$1 $3\" = 'show prestashop-agent.service' ] || exit 3\nprintf '{answer}\\n'\n")
    program.chmod(0o755)
    return folder


async def test_few_open_files(place: Place) -> None:
    store = "[[stores]]\nmax_connections = 1000\nurl = "
    place.write(f'{store}"https://a.example.com/api/"\n{store}"https://b.example.com/api/"\n')
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        await _compared("open_files_low", place)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
