"""Proxies of Debian as processes of their own: tinyproxy and squid (CONNECT), microsocks and Dante (SOCKS5)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.kit.tools import require_tool

START_TIMEOUT_S = 30
USER, PASSWORD = "shop", "s3cr3t-at-the-proxy"

Kind = Literal["tinyproxy", "squid", "microsocks", "dante"]

_TOOLS: dict[Kind, tuple[str, str]] = {
    "tinyproxy": ("tinyproxy", "tinyproxy"),
    "squid": ("squid", "squid"),
    "microsocks": ("microsocks", "microsocks"),
    "dante": ("danted", "dante-server"),
}

_TINYPROXY = """
Listen {host}
Port {port}
Timeout 600
LogLevel Connect
"""

# What Debian's squid.conf says of CONNECT, and nothing kept on disk.
_SQUID = """
http_port {host}:{port}
acl SSL_ports port 443
acl CONNECT method CONNECT
http_access deny CONNECT !SSL_ports
http_access allow all
shutdown_lifetime 0 seconds
pinger_enable off
pid_filename none
netdb_filename none
access_log none
cache_log /dev/null
cache deny all
coredump_dir {directory}
visible_hostname proxy.test
"""

_DANTE = """
logoutput: stderr
internal: {host} port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
}}
socks block {{
    from: 0.0.0.0/0 to: 0.0.0.0/0 port = {blocked_port}
}}
socks pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
}}
"""


def any_loopback_address() -> str:
    """An address of 127.0.0.0/8 that no other test has: a fixed port on it is as good as a free one."""
    chosen = random.SystemRandom()
    return f"127.{chosen.randint(1, 254)}.{chosen.randint(1, 254)}.{chosen.randint(1, 254)}"


@dataclass
class RealProxy:
    """One proxy; ``start`` and ``stop`` may be called again and it keeps its address. Killed at the end.

    ``login`` asks for user name and password (tinyproxy, microsocks). ``allow_port`` is the only port tinyproxy
    connects to; squid allows 443 alone, as Debian has it; ``blocked_port`` is what Dante's rules forbid.
    """

    kind: Kind
    directory: Path
    login: bool = False
    allow_port: int | None = None
    blocked_port: int = 23
    host: str = field(default_factory=any_loopback_address)
    port: int = 0

    def __post_init__(self) -> None:
        if self.kind == "dante":
            self.host = "127.0.0.1"  # it listens on addresses of an interface only
        with socket.create_server((self.host, self.port)) as free:
            self.port = free.getsockname()[1]

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """What a person would write; names are left to the proxy."""
        return f"{'http' if self.kind in ('tinyproxy', 'squid') else 'socks5h'}://{self.address}"

    @property
    def url_with_login(self) -> str:
        """As the environment's variables have it."""
        return self.url.replace("://", f"://{USER}:{PASSWORD}@")

    @property
    def log(self) -> str:
        """What the proxy wrote so far, of all its starts."""
        return self._log_file.read_text(errors="replace")

    @property
    def _log_file(self) -> Path:
        return self.directory / f"{self.kind}-{self.port}.log"

    async def start(self) -> None:
        """Start, and return when it accepts connections."""
        tool = require_tool(*_TOOLS[self.kind])
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(tool, *self._arguments()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # Dante has children
            )
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._accepts():
                assert self._process.returncode is None, self.log
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Kill it: every connection through it is reset or closed by the kernel."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def _arguments(self) -> list[str]:
        if self.kind == "microsocks":
            login = ["-u", USER, "-P", PASSWORD] if self.login else []
            return ["-i", self.host, "-p", str(self.port), *login]
        config = self.directory / f"{self.kind}-{self.port}.conf"
        template = {"tinyproxy": _TINYPROXY, "squid": _SQUID, "dante": _DANTE}[self.kind]
        text = template.format(host=self.host, port=self.port, directory=self.directory, blocked_port=self.blocked_port)
        if self.kind == "tinyproxy":
            text += f"BasicAuth {USER} {PASSWORD}\n" if self.login else ""
            text += f"ConnectPort {self.allow_port}\n" if self.allow_port else ""
        config.write_text(text)
        if self.kind == "tinyproxy":
            return ["-d", "-c", str(config)]
        if self.kind == "squid":
            return ["-N", "-d", "1", "-f", str(config)]
        return ["-f", str(config), "-p", str(self.directory / f"dante-{self.port}.pid"), "-N", "1"]
