"""A command on a terminal of its own: what it shows, and keys that a person presses."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

CTRL_C: Final = b"\x03"

_STYLES: Final = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """``command`` on a terminal that is ``columns`` wide, which it controls; killed at the end if it still runs."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], columns: int = 80) -> None:
        self._command = command
        self._environ = {**environ, "TERM": "xterm"}
        self._columns = columns
        self.raw = ""

    @property
    def shown(self) -> str:
        """All that was written, without styles."""
        return _STYLES.sub("", self.raw).replace("\r\n", "\n")

    async def __aenter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self._columns, 0, 0))
        self._changed = asyncio.Condition()
        self._process = await asyncio.create_subprocess_exec(
            # Only so does Ctrl-C become a signal for it: the leader of a session, whose terminal this is.
            *("setsid", "--ctty", *self._command),
            env=self._environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reading = asyncio.create_task(self._read(), name="terminal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        os.close(self._ours)

    def press(self, keys: bytes) -> None:
        """Type them."""
        os.write(self._ours, keys)

    async def see(self, text: str) -> None:
        """Wait until ``text`` was shown."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: text in self.shown or self._reading.done())
        assert text in self.shown, self.shown

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        async with asyncio.timeout(20):
            code = await self._process.wait()
            await self._reading
        return code

    async def _read(self) -> None:
        while True:
            try:
                received = await asyncio.to_thread(os.read, self._ours, 65536)
            except OSError:  # EIO: nobody has the other end any more
                received = b""
            async with self._changed:
                self.raw += received.decode()
                self._changed.notify_all()
            if not received:
                return
