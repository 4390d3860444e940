"""The three processes of the demo: started, joined with one another, watched, and ended in order."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import string
import time
from collections.abc import Callable
from typing import Any, Final

from agent.demo.actor import Actor, ActorState
from agent.demo.failure import DemoError
from agent.demo.place import Place
from agent.demo.process import DemoProcess, clean_environment
from agent.demo.registrar import Registrar

START_PATIENCE_S: Final = 30.0
OPEN_RESOURCES: Final = ("products", "images", "stock_availables")
"""What the agent of the demo opens; everything else, customers above all, stays closed."""

_TUNNELS: Final = 2
_LOOK_AGAIN_S: Final = 0.02
_API_KEY_LENGTH: Final = 32  # as PrestaShop makes them

_SERVER_SETTINGS: Final = """\
data_dir = {data_dir}
[ssh]
listen = "127.0.0.1:0"
[gateway]
listen = "127.0.0.1:0"
[panel]
listen = "127.0.0.1:0"
[log]
format = "json"
"""
_AGENT_SETTINGS: Final = """\
token_file = {token_file}
state_dir = {state_dir}
runtime_dir = {state_dir}
tunnels = {tunnels}
[log]
format = "json"
[[stores]]
url = {url}
methods = "write"
resources = {resources}
"""


class Stage:
    """Sample store, integration server and agent. ``on_change`` is called whenever there is something new to show."""

    def __init__(self, place: Place, on_change: Callable[[Actor], None]) -> None:
        self._place = place
        self._on_change = on_change
        environ = clean_environment(os.environ, place.root)
        store_arguments = place.root / "store.args"
        self.store = Actor(
            "sample store",
            DemoProcess("sample store", ["agent.demo.store", f"@{store_arguments}"], place.log("store"), environ),
        )
        serve = ["agent.server.cli.main", "serve", "--config", str(place.server_config)]
        self.server = Actor(
            "integration server",
            DemoProcess(
                "integration server", [*serve, "--ready-file", str(place.server_ready)], place.log("server"), environ
            ),
        )
        self.agent = Actor(
            "agent",
            DemoProcess(
                "agent", ["agent.cli.main", "run", "--config", str(place.agent_config)], place.log("agent"), environ
            ),
        )
        self.registrar = Registrar(place.server_config, environ)
        self.api_key = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(_API_KEY_LENGTH))
        place.write(store_arguments, f"--database={place.store_database}\n--key={self.api_key}\n")
        place.write(place.server_config, _SERVER_SETTINGS.format(data_dir=json.dumps(str(place.root / "server"))))
        self._gone: asyncio.Future[Actor] = asyncio.get_running_loop().create_future()
        self._watches: list[asyncio.Task[None]] = []
        self.store_port = 0
        self.ssh_port = 0
        self.gateway_port = 0

    @property
    def actors(self) -> tuple[Actor, Actor, Actor]:
        """All three, from the cloud to the store."""
        return self.server, self.agent, self.store

    # -- starting ----------------------------------------------------------------------------------------------------

    async def start_store(self) -> None:
        """Start the sample store and wait until it listens. Raises DemoError."""
        ready = await self._started(self.store, self._store_ready)
        self.store_port = int(ready["port"])
        self._up(self.store, f"http :{self.store_port}", "PrestaShop 8.2.4")

    async def start_server(self) -> None:
        """Start the integration server and wait until it listens. Raises DemoError."""
        ready = await self._started(self.server, self._server_ready)
        self.ssh_port, self.gateway_port = int(ready["ssh"]["port"]), int(ready["gateway"]["port"])
        self._up(self.server, f"gateway :{self.gateway_port}", f"ssh     :{self.ssh_port}")

    async def start_agent(self, token: str) -> None:
        """Start the agent and wait until its tunnels are up. Raises DemoError."""
        settings = _AGENT_SETTINGS.format(
            token_file=json.dumps(str(self._place.write(self._place.token, token + "\n"))),
            state_dir=json.dumps(str(self._place.root / "agent")),
            tunnels=_TUNNELS,
            url=json.dumps(self.store_url),
            resources=json.dumps(OPEN_RESOURCES),
        )
        self._place.write(self._place.agent_config, settings)
        ready = 0

        def tunnels_ready() -> dict[str, Any] | None:
            nonlocal ready
            ready += sum(event.get("event") == "tunnel.ready" for event in self.agent.process.log.new_events())
            return {"tunnels": ready} if ready >= _TUNNELS else None

        await self._started(self.agent, tunnels_ready)
        self._up(self.agent, f"{ready} SSH tunnels", "no open port")

    @property
    def store_url(self) -> str:
        """Address of the sample store's webservice."""
        return f"http://127.0.0.1:{self.store_port}/api/"

    @property
    def ssh_address(self) -> str:
        """Where agents connect to."""
        return f"127.0.0.1:{self.ssh_port}"

    async def _started(self, actor: Actor, ready: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        began = time.monotonic()
        actor.state = ActorState.STARTING
        await actor.process.start()
        self._watches.append(asyncio.create_task(self._watch(actor), name=f"watch {actor.title}"))
        self._on_change(actor)
        while (found := ready()) is None:
            if time.monotonic() - began > START_PATIENCE_S:
                raise DemoError(
                    f"The {actor.title} (process {actor.process.pid}) was not ready after {START_PATIENCE_S:.0f} s; "
                    "the last lines of its log are above.",
                    {actor.title: actor.process.log.tail()},
                )
            await asyncio.sleep(_LOOK_AGAIN_S)
        actor.ready_after_s = time.monotonic() - began
        return found

    def _store_ready(self) -> dict[str, Any] | None:
        events = self.store.process.log.new_events()
        return next((event for event in events if event.get("event") == "ready"), None)

    def _server_ready(self) -> dict[str, Any] | None:
        try:
            ready: dict[str, Any] = json.loads(self._place.server_ready.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return ready

    def _up(self, actor: Actor, *facts: str) -> None:
        actor.state = ActorState.UP
        actor.facts = facts
        self._on_change(actor)

    # -- watching and ending -----------------------------------------------------------------------------------------

    async def first_end(self) -> DemoError:
        """Wait until one of the processes ends by itself, or by somebody else's hand; the sentence on it."""
        gone = await asyncio.shield(self._gone)
        return DemoError(
            f"The {gone.title} (process {gone.process.pid}) {gone.process.how_it_ended()}; without it no request "
            "reaches the store, so the demo has ended the others and leaves.",
            {gone.title: gone.process.log.tail()},
        )

    async def end(self, hurry: asyncio.Event) -> None:
        """End the agent, then the server, then the store, and wait for each; ``hurry`` kills what is left."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for actor in (self.agent, self.server, self.store):
            await actor.process.end(hurry=hurry)

    async def _watch(self, actor: Actor) -> None:
        await actor.process.wait()
        if not self._gone.done():
            actor.state = ActorState.ENDED
            self._gone.set_result(actor)
            self._on_change(actor)
