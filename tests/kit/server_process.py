"""The integration server as a process of its own, and its commands."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from agent.server.cli.admin import AdminApi
from agent.server.settings import ServerSettings
from tests.kit import fast_path
from tests.kit.control_plane import items_of
from tests.kit.socket_activation import handed_over

SERVER = (sys.executable, "-m", "agent.server.cli.main")
LOOPBACK_LISTENERS = (
    *("--ssh-listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--panel-listen", "127.0.0.1:0"),
    *("--log-format", "json"),
)

_QUIET = {"INTEGRATION_SERVER_WATCH__TEST_INTERVAL_S": "0"}  # no test comes between what a test does and counts


@dataclass(frozen=True)
class Outcome:
    """What a finished command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer of ``--json``."""
        return json.loads(self.out)


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the person who runs the tests but where programs are."""
    inherited = fast_path.inherited()
    return {**inherited, "HOME": str(home), "NO_COLOR": "1", **more}


async def run_server_command(
    data_dir: Path, *arguments: str, stdin: str = "", environment: dict[str, str] | None = None, debug: bool = False
) -> Outcome:
    """Run one ``integration-server`` command to its end; standard input is never a terminal."""
    process = await asyncio.create_subprocess_exec(
        *SERVER,
        *("--data-dir", str(data_dir)),
        *arguments,
        *(["--debug"] if debug else []),
        env=clean_environment(data_dir.parent, **(environment or {})),
        cwd=data_dir.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


@dataclass
class ServerProcess:
    """``integration-server serve`` on free loopback ports; ended by SIGTERM, killed when that takes too long.

    ``sockets`` (by name: ssh, gateway) are handed over and listened on instead. ``prefix`` stands before the command
    and becomes it (``ip netns exec``).
    """

    data_dir: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    sockets: Mapping[str, socket.socket] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    ready: dict[str, Any] = field(default_factory=dict)
    out: str = ""
    log: list[dict[str, Any]] = field(default_factory=list)
    err: str = ""

    async def __aenter__(self) -> Self:
        ready_file = self.data_dir.parent / f"{self.data_dir.name}.ready.json"
        command = [
            *self.prefix,
            *SERVER,
            *("serve", "--data-dir", str(self.data_dir), "--ready-file", str(ready_file)),
            *LOOPBACK_LISTENERS,
            *self.arguments,
        ]
        self._process = await asyncio.create_subprocess_exec(
            *(handed_over(self.sockets, command) if self.sockets else command),
            pass_fds=tuple(sock.fileno() for sock in self.sockets.values()),
            env=clean_environment(self.data_dir.parent, **(_QUIET | self.environment)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        try:
            async with asyncio.timeout(30):
                while not self.ready:
                    line = await self._process.stderr.readline()
                    assert line, f"the server ended: {self.err}"
                    self._take(line)
        except BaseException:  # a start that fails or is cancelled leaves no process
            if self._process.returncode is None:
                self._process.kill()
            await self._process.communicate()
            raise
        assert json.loads(ready_file.read_text()) == self.ready
        self._link: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(), name="server-log")
        self._listening = asyncio.create_task(self._listen(), name="server-out")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def gateway_port(self) -> int:
        """The port that integrations connect to."""
        port: int = self.ready["gateway"]["port"]
        return port

    @property
    def ssh_address(self) -> str:
        """``host:port`` for agents."""
        return f"127.0.0.1:{self.ready['ssh']['port']}"

    async def command(self, *arguments: str, stdin: str = "") -> Outcome:
        """Run a command against this server."""
        return await run_server_command(self.data_dir, *arguments, stdin=stdin)

    async def api(self, method: Literal["get", "post", "patch", "delete"], *path: str, **body: object) -> Any:
        """Ask the control API over the admin socket, as commands do, without the start of a process.

        Raises RefusedError.
        """
        ask = AdminApi(ServerSettings(data_dir=self.data_dir), {})
        if method in ("post", "patch"):
            change = ask.post if method == "post" else ask.patch
            return await asyncio.to_thread(change, *path, body=body)
        return items_of(await asyncio.to_thread(ask.get if method == "get" else ask.delete, *path))

    def tell(self, number: int) -> None:
        """Send a signal and wait for nothing."""
        self._process.send_signal(number)

    async def stop(self, number: int = signal.SIGTERM, limit_s: float = 20) -> int:
        """Send a signal, wait for the end, and give the exit code; again: only the exit code."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        try:
            async with asyncio.timeout(limit_s):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        finally:
            await self._reading
            await self._listening
        assert self._process.returncode is not None
        return self._process.returncode

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._take(line)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.out += line.decode()
            if "/welcome/" in self.out and not self._link.done():
                self._link.set_result(line.decode().strip())

    async def first_link(self) -> str:
        """The address, printed at the first start, at which the first admin is made."""
        async with asyncio.timeout(10):
            return await asyncio.shield(self._link)

    def _take(self, line: bytes) -> None:
        self.err += line.decode()
        if line.startswith(b"{"):
            event = json.loads(line)
            self.log.append(event)
            if event["event"] == "server.ready":
                self.ready = {key: value for key, value in event.items() if key not in ("time", "level", "event")}
