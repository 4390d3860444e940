"""The demo as a process: what it shows, what it leaves behind, and what it says when one of its parts is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.demo.client import Answer, Request
from agent.demo.failure import DemoError
from agent.demo.log_file import LogFile
from agent.demo.script import Script
from agent.demo.step import Step
from agent.demo.trail import Trail
from tests.kit.curl_line import run_curl_line
from tests.kit.tools import require_tool

PATIENCE_S = 60  # seconds; a start takes 3 on an idle machine
ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
COMMAND = [sys.executable, "-m", "agent.cli.main", "demo"]


def processes_of(folder: str) -> dict[int, str]:
    """Process ids and command lines of every process that was started for this directory."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and folder in (command := (entry / "cmdline").read_text("utf-8", "replace")):
                found[int(entry.name)] = command.replace("\0", " ")
    return found


def wait_for_end(pidfds: list[int]) -> bool:
    """Whether all these processes end in time."""
    deadline = time.monotonic() + PATIENCE_S
    for pidfd in pidfds:
        ready, _, _ = select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
        os.close(pidfd)
        if not ready:
            return False
    return True


class RunningDemo:
    """``prestashop-agent demo`` in a temporary directory of its own, its output read as it comes."""

    def __init__(self, folder: str, *options: str, terminal_columns: int = 0, **environ: str) -> None:
        self.folder = folder
        self.output = ""
        command = [*COMMAND, *options]
        if terminal_columns:
            self._reading, writing = os.openpty()
            fcntl.ioctl(self._reading, termios.TIOCSWINSZ, struct.pack("HHHH", 50, terminal_columns, 0, 0))
            # Makes the terminal the controlling one, so that a typed Ctrl-C becomes a SIGINT as in real life.
            command = [require_tool("setsid", "util-linux"), "--ctty", *command]
        else:
            self._reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=writing if terminal_columns else subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env={**os.environ, "TMPDIR": folder, "TERM": "xterm", **environ},
            )
        finally:
            os.close(writing)

    @property
    def text(self) -> str:
        """The output without escape codes."""
        return ESCAPE.sub("", self.output).replace("\r", "")

    def read_until(self, wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in self.text:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} did not come:\n{self.text}"
            chunk = self._read()
            assert chunk, f"it ended before {wanted!r} came:\n{self.text}"
            self.output += chunk

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def type(self, text: str) -> None:
        os.write(self._reading, text.encode())

    def pid_of(self, title: str) -> int:
        found = re.search(rf"without the {title} +kill (\d+)", self.text)
        assert found, self.text
        return int(found[1])

    def read_to_end(self) -> int:
        """Everything that is still said; the exit code."""
        while chunk := self._read():
            self.output += chunk
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
        os.close(self._reading)

    def _read(self) -> str:
        try:
            return os.read(self._reading, 65536).decode("utf-8", "replace")
        except OSError:  # EIO: nobody has the terminal open any more
            return ""


@pytest.fixture
def folder() -> Iterator[str]:
    """A short path, since a socket's name has to fit; empty at the end, or the test fails."""
    path = tempfile.mkdtemp()
    yield path
    left = [each.name for each in Path(path).iterdir()]
    running = processes_of(path)
    shutil.rmtree(path)
    assert left == []
    assert running == {}


@contextlib.contextmanager
def running_demo(folder: str, *options: str, terminal_columns: int = 0, **environ: str) -> Iterator[RunningDemo]:
    demo = RunningDemo(folder, *options, terminal_columns=terminal_columns, **environ)
    try:
        yield demo
    finally:
        demo.close()


def test_once_shows_a_write_and_leaves_nothing(folder: str) -> None:
    with running_demo(folder, "--once") as demo:
        assert demo.read_to_end() == 0, demo.text
    assert "\x1b" not in demo.output, "escape codes, and this is no terminal"
    assert "\r" not in demo.output
    sent = re.search(r"name sent +(Demo jug [0-9a-f]{8})\n", demo.text)
    assert sent, demo.text
    assert re.search(rf"SELECT name FROM products WHERE id = \d+\n +name found +{sent[1]}  the same\n", demo.text)
    for line, way in (
        ("GET /demo/api/products/1 ", "gateway > agent > store"),
        ("POST /demo/api/products ", "gateway > agent > store"),
        ("GET /demo/api/images/products/1/1 ", "gateway > agent > store"),
        ("POST /demo/api/images/products/", "gateway > agent > store"),
        ("GET /demo/api/customers ", "gateway > agent (stop) policy_denied"),
        ("?ps_method=DELETE ", "gateway (stop) policy_denied"),
        ("GET /demo/api/products ", "gateway (stop) client_key_invalid"),
    ):
        assert any(line in shown and shown.endswith(way) for shown in demo.text.splitlines()), (line, demo.text)
    assert re.search(r"A new product is written: product \d+ +201 +[\d,]+ B +[\d.]+ ms\n", demo.text)
    assert "is removed." in demo.text.splitlines()[-1]


@pytest.mark.parametrize(
    ("title", "number"),
    [("agent", signal.SIGKILL), ("integration server", signal.SIGSEGV), ("sample store", signal.SIGTERM)],
)
def test_killing_a_process_is_said_and_ends_the_demo(folder: str, title: str, number: signal.Signals) -> None:
    with running_demo(folder) as demo:
        demo.read_until("stays up until Ctrl-C")
        pid = demo.pid_of(title)
        os.kill(pid, number)
        assert demo.read_to_end() == 1
    said = demo.text.splitlines()[-1]
    how = (
        "ended with exit code 0" if number is signal.SIGTERM else f"was killed by signal {int(number)} ({number.name})"
    )
    assert said.startswith(f"prestashop-agent: The {title} (process {pid}) {how}; without it no request"), said
    assert f"last lines of the log of the {title}:" in demo.text
    assert "Traceback" not in demo.text


def test_on_a_terminal_until_ctrl_c(folder: str, tmp_path: Path) -> None:
    with running_demo(folder, terminal_columns=200, NO_COLOR="", LC_ALL="C.UTF-8") as demo:
        demo.read_until("Ctrl-C ends the demo")
        assert "╭" in demo.text
        assert "\x1b[" in demo.output
        joined = re.sub(r"\s\\\r?\n\s*", " ", demo.text)  # a long line goes on in the next one
        lines = re.findall(r"curl -u \S.*", joined)
        assert len(lines) == 5, demo.text
        statuses = [run_curl_line(line.strip(), tmp_path) for line in lines]
        assert statuses == [200, 200, 200, 200, 403]
        assert (tmp_path / "cup.jpg").read_bytes().startswith(b"\xff\xd8\xff")
        demo.read_until("5 requests of yours")
        assert re.search(r"\d\d:\d\d:\d\d  PATCH /demo/api/products/\d+ +200 ", demo.text)
        (database,) = Path(folder).glob("*/store.sqlite")
        (key_file,) = Path(folder).glob("*/token")
        assert (database.parent.stat().st_mode & 0o777, key_file.stat().st_mode & 0o777) == (0o700, 0o600)
        key = re.search(r"webservice key +([A-Z0-9]{32})", demo.text)
        assert key
        token = key_file.read_text().strip()
        for pid, command in processes_of(folder).items():
            assert os.getsid(pid) == pid, f"a Ctrl-C reaches {command}"
            assert key[1] not in command
            assert token not in command
        demo.type("\x03")
        assert demo.read_to_end() == 0
    assert "is removed." in demo.text
    assert "last lines of the log" not in demo.text


def test_kill_9_of_the_demo_leaves_nothing(folder: str) -> None:
    with running_demo(folder, "--plain") as demo:
        demo.read_until("stays up until Ctrl-C")
        started = processes_of(folder)
        for title in ("agent", "integration server", "sample store"):
            assert demo.pid_of(title) in started, started
        pidfds = [os.pidfd_open(pid) for pid in started]
        demo.signal(signal.SIGKILL)
        assert wait_for_end(pidfds), processes_of(folder)


def test_sigterm_in_the_middle_ends_cleanly(folder: str) -> None:
    with running_demo(folder) as demo:
        demo.read_until("sample store ")
        demo.signal(signal.SIGTERM)
        assert demo.read_to_end() == 128 + signal.SIGTERM, demo.text
    assert "Traceback" not in demo.text


def test_without_the_server_extra_it_says_how_to_install_it(folder: str) -> None:
    code = "import sys; sys.modules['fastapi'] = None; sys.argv = ['x', 'demo']; import agent.cli.main as m; m.main()"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": folder},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "(fastapi): pip install 'prestashop-agent[server]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


class QuietAudience:
    """Hears the steps and shows nothing."""

    def step_begins(self, title: str, sent: str) -> None:
        pass

    def step_done(self, step: Step) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(503, "text/xml", b"", 1.0, "", "integration-server", "agent_offline"),
            "503 agent_offline from integration-server instead of 200",
        ),
        (Answer(302, "text/html", b"", 1.0, "", "", ""), "302 from the store instead of 200"),
        (Answer(200, "text/html", b"<html>", 1.0, "", "", ""), "status 200, but no element found"),
    ],
)
async def test_a_step_that_fails_says_which_and_what_came(tmp_path: Path, answer: Answer, said: str) -> None:
    async def send(request: Request) -> Answer:
        return answer

    trail = Trail(LogFile(tmp_path / "server.log"), LogFile(tmp_path / "agent.log"))
    script = Script(send, "demo", tmp_path / "store.sqlite", trail, QuietAudience())
    with pytest.raises(DemoError) as caught:
        await script.run()
    assert str(caught.value).startswith(f"Step 1 (The store's list of resources) went wrong: {said}")
