"""The processes of a herd run: the real server, the client processes, and what the kernel says about both."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.server.cli.admin import AdminApi
from agent.server.settings import ServerSettings
from tests.kit.server_process import ServerProcess, clean_environment

ROOT = Path(__file__).resolve().parents[2]
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a process has used: CPU seconds (all its threads), resident memory now, open files now."""

    cpu_s: float
    resident_kb: int
    files: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Read /proc."""
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
        resident_kb = int(status.partition("VmRSS:")[2].split()[0])
        files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return cls((int(stat[11]) + int(stat[12])) / CLOCK_TICKS, resident_kb, files)


@dataclass
class Server:
    """``integration-server serve`` that comes back on the same port with the same agents."""

    data_dir: Path
    started: ServerProcess | None = None
    ssh_port: int = 0

    async def start(self) -> None:
        """Run it and wait until it listens."""
        arguments = ("--ssh-listen", f"127.0.0.1:{self.ssh_port}") if self.ssh_port else ()
        process = ServerProcess(self.data_dir, arguments)
        self.started = await process.__aenter__()
        self.ssh_port = process.ready["ssh"]["port"]

    @property
    def process(self) -> ServerProcess:
        """The one that runs now."""
        assert self.started is not None
        return self.started

    async def stop(self, number: signal.Signals) -> float:
        """Send a signal and wait for the end; the seconds that took."""
        began = time.monotonic()
        await self.process.stop(number)
        return time.monotonic() - began

    async def register(self, count: int) -> list[str]:
        """Make agents by the control API; their access tokens."""
        api = AdminApi(ServerSettings(data_dir=self.data_dir), {})
        address = f"127.0.0.1:{self.ssh_port}"

        def make() -> list[str]:
            return [
                str(api.post("agents", body={"name": f"herd {number}", "public_ssh_address": address})["access_token"])
                for number in range(count)
            ]

        return await asyncio.to_thread(make)

    def usage(self) -> Usage:
        """Of the process that runs now."""
        return Usage.of(self.process.pid)

    async def door(self) -> dict[str, Any]:
        """What the server says about those who log in, since it was started."""
        report = await self.process.api("get", "status")
        return dict(report["door"])

    async def end(self) -> None:
        """Whatever happened before."""
        if self.started is not None:
            await self.started.stop(signal.SIGKILL)


class Clients:
    """One or more processes full of agents."""

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def add(self, order: dict[str, Any], home: Path) -> None:
        """Start one more process, which gets ``order`` first."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.herd_agents"),
            cwd=ROOT,
            env=clean_environment(home),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
        )
        self._processes.append(process)
        await self._ask(process, order)

    async def tell(self, what: str, **more: object) -> list[dict[str, Any]]:
        """Give the same order to all and take their answers."""
        return await asyncio.gather(*(self._ask(process, {"do": what, **more}) for process in self._processes))

    def usage(self) -> Usage:
        """Of all of them together."""
        found = [Usage.of(process.pid) for process in self._processes]
        return Usage(
            sum(each.cpu_s for each in found),
            sum(each.resident_kb for each in found),
            sum(each.files for each in found),
        )

    async def _ask(self, process: asyncio.subprocess.Process, order: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        await process.stdin.drain()
        answer: dict[str, Any] = json.loads(await process.stdout.readline())
        return answer
