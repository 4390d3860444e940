"""Asking the running agent: where it is looked for, and what strange answers mean."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli import local_client
from agent.cli.local_client import RefusedError, ask_agent, usual_places
from agent.cli.status_codes import NotRunningError, UnknownStateError
from agent.local_socket import SOCKET_NAME
from agent.locations import SYSTEM_RUNTIME_DIR, Locations


@contextmanager
def answering(directory: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Somebody who reads one line on the agent's socket, sends ``answer``, and closes."""
    directory.mkdir(exist_ok=True)
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as lines:
            heard.append(lines.readline())
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / SOCKET_NAME))
        listening.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield heard
        thread.join(10)
    (directory / SOCKET_NAME).unlink()


def test_one_question_one_answer(tmp_path: Path) -> None:
    with answering(tmp_path, b'{"state":"ready"}\n') as heard:
        assert ask_agent(tmp_path, "status", elsewhere=()) == {"state": "ready"}
    assert heard == [b'{"command": "status"}\n']


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b'{"state":', b"[]\n", b"\xff\n"])
def test_what_is_no_agents_answer_is_said_so(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer), pytest.raises(UnknownStateError, match="is not a prestashop-agent, or it ended"):
        ask_agent(tmp_path, "status", elsewhere=())


def test_a_refusal_keeps_its_name(tmp_path: Path) -> None:
    answer = b'{"error":{"name":"unknown_command","message":"not known"}}\n'
    with answering(tmp_path, answer), pytest.raises(RefusedError, match="not known") as refused:
        ask_agent(tmp_path, "pause", elsewhere=())
    assert refused.value.name == "unknown_command"


def test_the_service_is_found_by_somebody_whose_own_place_is_another(tmp_path: Path) -> None:
    system, own = tmp_path / "system", tmp_path / "own"
    with pytest.raises(
        NotRunningError, match=f"nobody answers at {own}/agent.sock or {system}/agent.sock.* ask as that user\\.$"
    ):
        ask_agent(own, "status", elsewhere=(system,))
    with answering(system, b'{"state":"ready"}\n'):
        with pytest.raises(
            NotRunningError, match=f"nobody answers at {own}/agent.sock\\).*prestashop-agent enroll\\.$"
        ):
            ask_agent(own, "status", elsewhere=())  # the settings name the place
        assert ask_agent(own, "status", elsewhere=(system,)) == {"state": "ready"}


@pytest.mark.parametrize("starts_in_login", [True, False])
def test_an_agent_of_another_session_is_found(tmp_path: Path, starts_in_login: bool) -> None:
    """Started by cron and asked in a login session, which has an ``XDG_RUNTIME_DIR``; and the other way round."""
    cron = {"HOME": str(tmp_path)}
    login = {**cron, "XDG_RUNTIME_DIR": "/run/user/1234"}
    started, asked = (login, cron) if starts_in_login else (cron, login)
    assert Locations.of(started, is_root=False).runtime_dir in usual_places(asked, 1234)
    assert usual_places(asked, 1234)[-1] == SYSTEM_RUNTIME_DIR


def test_the_socket_of_another_session_answers() -> None:
    with tempfile.TemporaryDirectory(prefix="home-") as home:  # short: a Unix socket's path has 107 bytes
        own = Locations.of({"HOME": home}, is_root=False).runtime_dir
        own.parent.mkdir(parents=True)
        xdg = Path(home) / "xdg"
        places = usual_places({"HOME": home, "XDG_RUNTIME_DIR": str(xdg)}, 2**31 - 2)
        with answering(own, b'{"state":"ready"}\n'):
            assert ask_agent(xdg, "status", elsewhere=places) == {"state": "ready"}


def test_root_is_not_led_by_the_environment() -> None:
    assert usual_places({"HOME": "/home/somebody", "XDG_STATE_HOME": "/home/somebody/s"}, 0) == (SYSTEM_RUNTIME_DIR,)


def test_an_agent_whose_queue_is_full_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_client, "TIMEOUT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / SOCKET_NAME))
        listening.listen(0)
        waiting = []
        try:
            for _ in range(4):
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(str(tmp_path / SOCKET_NAME))
            with pytest.raises(UnknownStateError, match="does not answer within"):
                ask_agent(tmp_path, "status", elsewhere=())
        finally:
            for one in waiting:
                one.close()
