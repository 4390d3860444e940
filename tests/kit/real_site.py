"""A server process with connections to counting stores, and agents to be started on one access token."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.agent_process import AgentProcess
from tests.kit.asked import Asked, Outcome, Shape, ask, judge
from tests.kit.counting_store import CountingStore
from tests.kit.cutting_relay import CuttingRelay
from tests.kit.server_process import ServerProcess

API_KEY = "APIKEY000APIKEY000APIKEY000APIKE"


@dataclass
class RealSite:
    """``stores`` by the slug of their connection; all belong to one agent record."""

    folder: Path
    server: ServerProcess
    stores: Mapping[str, CountingStore]
    token: str = field(repr=False)
    key: str = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def agent(self, name: str, *slugs: str, toml: str = "") -> AgentProcess:
        """An instance with a state directory of its own, to be entered; it opens these stores, all without any."""
        tables = [
            f'[[stores]]\nurl = "http://127.0.0.1:{self.stores[slug].port}/api/"\nmethods = "write"\n'
            for slug in slugs or self.stores
        ]
        return AgentProcess(self.folder / name, toml + "".join(tables), self.token)

    async def ask(self, shape: Shape, slug: str = "one") -> tuple[Asked, Outcome]:
        """One request over a connection of its own."""
        asked = Asked.new(shape, next(self._numbers), slug.encode(), self.key)
        return asked, await ask(self.server.gateway_port, asked)

    async def answer(self, shape: Shape, slug: str = "one") -> str:
        """What one request comes to, judged: 200, reset, or the name of an error."""
        asked, outcome = await self.ask(shape, slug)
        return judge(asked, outcome, self.stores[slug].executed[asked.nonce], "length")

    def logged(self, event: str) -> list[dict[str, object]]:
        """The server's log events of this name."""
        return [entry for entry in self.server.log if entry["event"] == event]


@contextlib.asynccontextmanager
async def real_site(
    folder: Path, stores: Mapping[str, CountingStore], *, max_instances: int = 1, door: CuttingRelay | None = None
) -> AsyncIterator[RealSite]:
    """Start the server; ``door`` is what agents connect to instead of it."""
    async with ServerProcess(folder / "server") as server:
        address = server.ssh_address
        if door is not None:
            door.target_port = int(address.rpartition(":")[2])
            address = f"127.0.0.1:{door.port}"
        made = await server.api("post", "agents", name="shop", public_ssh_address=address, max_instances=max_instances)
        for slug, store in stores.items():
            url = f"http://127.0.0.1:{store.port}/api/"
            wish = {"name": slug, "mode": "on-premise", "agent": "shop", "store_url": url, "api_key": API_KEY}
            await server.api("post", "connections", **wish)
        key = (await server.api("post", "client-keys", all_connections=True))["key"]
        yield RealSite(folder, server, stores, made["access_token"], key)
