"""A process of the matrix as the tests hold it: asked by commands, heard by events."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.kit import fast_path

ROOT = Path(__file__).resolve().parents[2]

Event = dict[str, Any]


class Child:
    """Runs ``python -m module`` with a ``ControlLine``; killed at the end if its standard input's end is not enough."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._changed = asyncio.Condition()
        self._ended = False
        self.events: list[Event] = []

    async def __aenter__(self) -> Self:
        inherited = fast_path.inherited()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", self._module),
            cwd=ROOT,
            env=inherited,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        self._reading = asyncio.create_task(self._read(), name=f"{self._module}-events")
        await self.event(lambda event: event["event"] == "started")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def ask(self, do: str, **fields: Any) -> Any:
        """Run a command there and give its answer. Raises ``RuntimeError`` with the reason when it failed."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answered
        self._process.stdin.write(json.dumps({"id": number, "do": do, **fields}).encode() + b"\n")
        async with asyncio.timeout(20):
            return await answered

    async def event(self, wanted: Callable[[Event], bool], count: int = 1, timeout_s: float = 20.0) -> list[Event]:
        """Wait until ``count`` events of this kind are there, those since the last ``forget`` included."""
        found: list[Event] = []

        def there() -> bool:
            found[:] = [event for event in self.events if wanted(event)]
            return len(found) >= count or self._ended

        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(there)
        assert len(found) >= count, f"{self._module} ended"
        return found

    def forget(self) -> None:
        """Forget the events so far."""
        self.events.clear()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            if "id" in message:
                self._answer(message)
                continue
            async with self._changed:
                self.events.append(message)
                self._changed.notify_all()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()
        for answered in self._asked.values():
            answered.cancel()

    def _answer(self, message: dict[str, Any]) -> None:
        answered = self._asked.pop(message["id"])
        if answered.done():
            return
        if "error" in message:
            answered.set_exception(RuntimeError(message["error"]))
        else:
            answered.set_result(message["answer"])
