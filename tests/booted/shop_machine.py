"""The booted machine on whose loopback agent, server, shops and integration meet, and what is asked of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import agent
from agent.demo.store.config import ApiKey, StoreConfig
from agent.demo.store.store import SampleStore
from tests.booted import sandbox_probe
from tests.e2e.restarts import API_KEY, Load, Shop
from tests.kit.booted import BootedDebian, NetworkThread
from tests.kit.raw_client import RawAnswer, RawClient, basic
from tests.kit.until import until
from tests.packaging.conftest import Built

AGENT: Final = "prestashop-agent"
SERVER: Final = "integration-server"
UNIT: Final = f"{AGENT}.service"
SOCKETS: Final = tuple(f"{SERVER}-{name}.socket" for name in ("ssh", "gateway", "panel"))
NEWER: Final = f"{agent.__version__}.1"
GATEWAY_PORT: Final = 8080
LOAD_PER_S: Final = 50.0
LOAD_END_TIMEOUT_S: Final = 60.0
ASK_EVERY_S: Final = 0.1
TOKEN_FILE: Final = Path("etc") / AGENT / "token"
SETTINGS_FILE: Final = Path("etc") / AGENT / "agent.toml"


@dataclass
class ShopMachine:
    """``booted`` with what runs in its network from outside; ``before`` is what lay in it when it had booted."""

    booted: BootedDebian
    network: NetworkThread
    packages: dict[str, Built]
    scratch: Path
    key: str = ""
    token: str = ""
    sample_url: str = ""
    shop_url: str = ""
    before: frozenset[str] = frozenset()
    people_before: str = ""
    shop: Shop = field(default_factory=lambda: Shop(1.0), repr=False)
    _stores: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    def __post_init__(self) -> None:
        shutil.copy(sandbox_probe.__file__, self.booted.folder / "srv" / "sandbox_probe.py")
        for built in self.packages.values():
            shutil.copy(built.deb, self.booted.folder / "srv" / f"{built.name}.deb")
            shutil.copy(self._newer(built), self.booted.folder / "srv" / f"{built.name}-newer.deb")
        self.before, self.people_before = self.files(), self.people()

    # -- files and people ----------------------------------------------------------------------------------------

    def files(self) -> frozenset[str]:
        """What lies on its disk, with modes and owners."""
        return self.booted.debian.files()

    def people(self) -> str:
        """Its users and groups."""
        return self.booted.out("getent", "passwd") + self.booted.out("getent", "group")

    def install(self, *names: str, timeout_s: float = 180.0) -> None:
        """``dpkg -i`` of these files in /srv; there is no network, and no pip."""
        self.booted.out("dpkg", "-i", *(f"/srv/{name}.deb" for name in names), timeout_s=timeout_s)

    def drop_in(self, unit: str, *lines: str) -> None:
        """Change a unit until the next boot."""
        folder = f"/run/systemd/system/{unit}.d"
        self.booted.out("mkdir", "-p", folder)
        self.booted.out("tee", f"{folder}/test.conf", stdin="\n".join([*lines, ""]))
        self.booted.out("systemctl", "daemon-reload")

    def drop_nothing_in(self, unit: str) -> None:
        """Take that change back."""
        self.booted.out("rm", "-r", f"/run/systemd/system/{unit}.d")
        self.booted.out("systemctl", "daemon-reload")

    # -- units ---------------------------------------------------------------------------------------------------

    def systemctl(self, *words: str, timeout_s: float = 90.0) -> str:
        """What systemctl prints; it must succeed."""
        ended = self.booted.run("systemctl", *words, timeout_s=timeout_s)
        if ended.code != 0:
            journal = self.booted.out("journalctl", "--no-pager", "--lines=40")
            raise AssertionError(f"systemctl {' '.join(words)} ended with {ended.code}: {ended.err}\n{journal}")
        return ended.out

    def shown(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, as they are now."""
        printed = self.systemctl("show", f"--property={','.join(names)}", unit)
        found: dict[str, str] = dict(line.split("=", 1) for line in printed.splitlines() if line)
        return found

    def pid(self, unit: str = UNIT) -> int:
        """Its main process, 0 for none."""
        return int(self.shown(unit, "MainPID")["MainPID"])

    def await_shown(self, unit: str, name: str, wanted: str, timeout_s: float = 60.0) -> str:
        """Ask until the property begins with ``wanted``; systemd tells nobody who has no bus of his own."""
        until = time.monotonic() + timeout_s
        while not (value := self.shown(unit, name)[name]).startswith(wanted):
            assert time.monotonic() < until, (
                f"{name} of {unit} is {value!r}, not {wanted!r}:\n{self.journal(unit)[-3000:]}"
            )
            time.sleep(ASK_EVERY_S)
        return value

    def await_tunnels(self, unit: str = UNIT) -> str:
        """Wait until its own sentence says that it serves; the sentence."""
        return self.await_shown(unit, "StatusText", "2 of 2 tunnels up")

    def journal(self, unit: str) -> str:
        """What the unit wrote, and systemd about it."""
        return self.booted.out("journalctl", "--unit", unit, "--output=cat", "--no-pager")

    def process_status(self, pid: int) -> dict[str, str]:
        """``/proc/PID/status``."""
        lines = self.booted.out("cat", f"/proc/{pid}/status").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    # -- server and shops ----------------------------------------------------------------------------------------

    def server(self, *words: str, stdin: str = "") -> Any:
        """The answer of an ``integration-server`` command."""
        return json.loads(self.booted.out(SERVER, *words, "--json", stdin=stdin))

    def make_agent(self, name: str) -> str:
        """Register an agent; its access token."""
        token: str = self.server("agents", "create", name, "--public-ssh-address", "127.0.0.1:2222")["access_token"]
        return token

    def make_connections(self, name: str, url: str, *slugs: str) -> None:
        """Register connections to a store behind that agent."""
        for slug in slugs:
            described = ("--name", slug, "--mode", "on-premise", "--agent", name, "--store-url", url)
            self.server("connections", "create", *described, "--api-key-file", "-", stdin=API_KEY)

    def open_shop(self) -> str:
        """Open a shop in the machine's network that counts its writes (``shop`` is the last one); its URL."""
        self.shop = self.network.call(self._stores.enter_async_context(Shop(1.0)))
        return f"http://127.0.0.1:{self.shop.port}/"

    def open_sample_store(self) -> str:
        """Open a store in the machine's network that imitates PrestaShop; its URL."""
        store = SampleStore(StoreConfig(keys=(ApiKey(API_KEY),)))
        self._stores.push_async_callback(store.close)
        self.network.call(store.start())
        return f"http://127.0.0.1:{store.port}/"

    def close(self) -> None:
        """Close the stores."""
        self.network.call(self._stores.aclose())

    @contextlib.contextmanager
    def load(self) -> Iterator[Load]:
        """Fifty requests a second, a third of them writes, meanwhile; none of them fails, no write comes twice."""
        load, over = Load(GATEWAY_PORT, self.key), asyncio.Event()
        self.shop.written.clear()  # each load counts from 0
        running = self.network.start(load.run(LOAD_PER_S, over))
        try:
            yield load
            # What took a moment only, as on a machine of one's own, is to be seen from behind, too.
            self.network.call(until(lambda: load.sent >= LOAD_PER_S))
        finally:
            self.network.call(_set(over))
            running.result(LOAD_END_TIMEOUT_S)
        assert load.failures == [], f"{len(load.failures)} of {load.sent} failed, such as {load.failures[:3]}"
        assert [self.shop.written[nonce] for nonce in load.nonces] == [1] * len(load.nonces)

    def exchange(self, slug: str, method: str = "GET", path: str = "/api/products", body: str = "") -> RawAnswer:
        """One exchange of an integration, through the gateway."""
        return self.network.call(_exchange(self.key, slug, method, path, body))

    # -- packages ------------------------------------------------------------------------------------------------

    def _newer(self, built: Built) -> Path:
        """The same package as its next version, which says so."""
        tree = self.scratch / f"{built.name}-newer"
        shutil.copytree(built.unpacked, tree, symlinks=True)
        control, module = tree / "DEBIAN/control", next(tree.rglob("packaged/agent/__init__.py"))
        control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {NEWER}", control.read_text()))
        module.write_text(module.read_text().replace(f'"{agent.__version__}"', f'"{NEWER}"'))
        file = tree.with_suffix(".deb")
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(file)]
        subprocess.run(command, check=True, capture_output=True)
        shutil.rmtree(tree)
        return file


async def _set(event: asyncio.Event) -> None:
    event.set()


async def _exchange(key: str, slug: str, method: str, path: str, body: str) -> RawAnswer:
    head = f"{method} /{slug}{path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(body)}\r\n"
    async with RawClient(GATEWAY_PORT) as client:
        await client.send(head.encode() + basic(key) + b"\r\n" + body.encode())
        return await client.answer()
