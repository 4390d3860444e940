"""The agent as a process of its own, with its log read line by line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.kit import fast_path


@dataclass
class AgentProcess:
    """``prestashop-agent run`` with JSON logs in ``directory``; killed at the end if it still runs.

    ``prefix`` stands before the command and becomes it (``ip netns exec``);
    ``environ`` is added to an environment that has nothing of the tests' own.
    """

    directory: Path
    toml: str
    token: str
    arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    events: list[dict[str, Any]] = field(default_factory=list)
    other_lines: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.directory / "agent.toml"

    def write(self, toml: str) -> None:
        """Write the settings file, with the paths that keep this agent inside its directory."""
        self.config.write_text(
            f'token_file = "{self.directory / "token"}"\nstate_dir = "{self.directory / "state"}"\n'
            f'runtime_dir = "{self.directory / "run"}"\n' + toml
        )

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        token = self.directory / "token"
        token.write_text(self.token)
        token.chmod(0o600)
        self.write(self.toml)
        inherited = fast_path.inherited()
        self._process = await asyncio.create_subprocess_exec(
            *self.prefix,
            sys.executable,
            *("-m", "agent.cli.main", "run", "--log-format", "json", "--config", str(self.config)),
            *self.arguments,
            env={**inherited, "HOME": str(self.directory), **self.environ},
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._changed = asyncio.Condition()
        self._log_ended = False
        self._reading = asyncio.create_task(self._read(), name="agent-log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self.signal(signal.SIGKILL)
        await self._process.wait()
        await self._reading

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that was written so far."""
        return "\n".join([*map(json.dumps, self.events), *self.other_lines])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        # Not Process.send_signal: it reaps a process that has just ended before asyncio sees that.
        if self._process.returncode is None:
            os.kill(self._process.pid, number)

    async def event(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for the ``count``-th event of that name; the end of the process ends the wait with what it said."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [event for event in self.events if event["event"] == name]
            return len(found) >= count or self._log_ended

        async with self._changed:
            await self._changed.wait_for(there)
        assert len(found) >= count, f"the agent ended without {name}:\n{self.log}"
        return found[count - 1]

    async def line_with(self, text: str) -> str:
        """Wait for a line that is not JSON and holds ``text``."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [line for line in self.other_lines if text in line]
            return bool(found) or self._log_ended

        async with self._changed:
            await self._changed.wait_for(there)
        assert found, f"the agent ended without {text}:\n{self.log}"
        return found[0]

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        code = await self._process.wait()
        await self._reading
        return code

    async def _read(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        async for line in stream:
            async with self._changed:
                text = line.decode().rstrip("\n")
                try:
                    self.events.append(json.loads(text))
                except ValueError:
                    self.other_lines.append(text)
                self._changed.notify_all()
        async with self._changed:
            self._log_ended = True
            self._changed.notify_all()
