"""Sockets of a service manager: what is taken, and what is refused with a sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.errors import StartError
from agent.server.inherited_sockets import InheritedSockets
from tests.kit.socket_activation import handed_over, listening_socket

_SHOW = """
import os
from agent.errors import StartError
from agent.server.inherited_sockets import InheritedSockets
try:
    taken = InheritedSockets.take(os.environ, os.getpid())
except StartError as error:
    print(error)
else:
    for name in ("ssh", "gateway"):
        print(name, *(sock.getsockname()[1] for sock in taken.named(name)))
        assert not any(os.get_inheritable(sock.fileno()) or sock.getblocking() for sock in taken.named(name))
    print(sorted(name for name in os.environ if name.startswith("LISTEN_")))
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def shown(sockets: dict[str, socket.socket]) -> list[str]:
    """What a process says that was started with these sockets."""
    command = handed_over(sockets, [sys.executable, "-c", _SHOW])
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        command,
        pass_fds=[sock.fileno() for sock in sockets.values()],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_both_listeners_are_taken_by_name_and_nothing_is_left_for_children(stack: ExitStack) -> None:
    gateway, ssh = (stack.enter_context(listening_socket()) for _ in range(2))
    assert shown({"gateway": gateway, "ssh": ssh}) == [
        f"ssh {ssh.getsockname()[1]}",
        f"gateway {gateway.getsockname()[1]}",
        "[]",
    ]


def test_a_name_that_is_not_ours_is_refused(stack: ExitStack) -> None:
    (line,) = shown({"integration-server.socket": stack.enter_context(listening_socket())})
    assert "'integration-server.socket'" in line
    assert "FileDescriptorName=ssh or gateway" in line


def test_a_socket_that_does_not_listen_is_refused(stack: ExitStack) -> None:
    sock = stack.enter_context(socket.socket())
    sock.bind(("127.0.0.1", 0))
    (line,) = shown({"ssh": sock})
    assert line.startswith("The socket passed for ssh is not a listening TCP socket")


def test_a_unix_socket_is_refused(stack: ExitStack, tmp_path: Path) -> None:
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.bind(str(tmp_path / "s"))
    sock.listen()
    (line,) = shown({"gateway": sock})
    assert line.startswith("The socket passed for gateway is not a listening TCP socket")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "ssh:gateway"},
        {"LISTEN_PID": "", "LISTEN_FDS": "2"},
    ],
)
def test_what_is_meant_for_another_process_is_not_taken(variables: dict[str, str]) -> None:
    environ = {**variables, "OTHER": "stays"}
    taken = InheritedSockets.take(environ, 4711)
    assert taken.named("ssh") == ()
    assert taken.named("gateway") == ()
    assert environ == {"OTHER": "stays"}


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"LISTEN_FDS": "many", "LISTEN_FDNAMES": "ssh"}, "LISTEN_FDS is 'many'"),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "ssh"}, "2 sockets were passed with 1 names"),
        ({"LISTEN_FDS": "1"}, "1 sockets were passed with 0 names"),
    ],
)
def test_variables_that_make_no_sense_are_refused(variables: dict[str, str], part: str) -> None:
    with pytest.raises(StartError) as caught:
        InheritedSockets.take({"LISTEN_PID": "4711", **variables}, 4711)
    assert part in str(caught.value)


def test_a_number_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        (line,) = shown({"ssh": file})  # type: ignore[dict-item]  # what this is about
    assert "is no socket" in line
