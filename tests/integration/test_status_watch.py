"""`status --watch` on a terminal: it waits for an agent, shows it, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from pathlib import Path

from agent.local_socket import LocalSocket
from tests.kit.server_process import clean_environment
from tests.unit.cli.test_status_watch import report

SIZE = struct.pack("HHHH", 24, 80, 0, 0)
INTO_SCREEN, OUT_OF_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """The other end of a terminal: what was written on it so far."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, SIZE)
        os.set_blocking(self._ours, False)
        self.shown = b""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def _read(self) -> None:
        try:
            self.shown += os.read(self._ours, 65536)
        except OSError:  # nobody has it open any more
            asyncio.get_running_loop().remove_reader(self._ours)
        self._more.set()

    async def shows(self, words: bytes) -> None:
        while words not in self.shown:
            self._more.clear()
            await self._more.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)


async def test_waits_shows_and_leaves(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(f'runtime_dir = "{tmp_path}"\n')
    terminal = Terminal()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.cli.main", "--config", str(tmp_path / "agent.toml"), "status", "--watch", "0.2"),
        env=clean_environment(tmp_path, TERM="xterm-256color"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=terminal.theirs,
        stderr=asyncio.subprocess.PIPE,
        # A shell's background jobs are started with it ignored, and so would be all that these tests start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(terminal.theirs)
    try:
        async with asyncio.timeout(60):
            await terminal.shows(b"is not running: waiting for it")
            async with LocalSocket(tmp_path / "agent.sock") as local:
                local.on("status", lambda _request: report())
                await terminal.shows(b"store_timeout")
            assert terminal.shown.startswith(INTO_SCREEN)
            terminal.shown = b""
            await terminal.shows(b"is not running")
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
            await terminal.shows(OUT_OF_SCREEN)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        terminal.close()
    assert (process.returncode, errors) == (0, b"")
