"""prestashop-agent and integration-server as a peer, as they are installed: two stores, one client key for both."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.bench.tunnels.peers import Tunnel, Via
from tests.bench.tunnels.place import LOOPBACK, ROOT, Place, run
from tests.bench.tunnels.store import StorePorts

OURS: Final = "prestashop-agent"
OURS_STOCK: Final = "the same, --no-fast-path"

CONCURRENCY: Final = 64
"""Of each connection: as many as the heaviest load has, so that none waits for its turn at the gateway."""

TUNNELS: Final = 2
_START_TIMEOUT_S: Final = 60.0


def ours(place: Place, store: StorePorts, via: Via) -> Tunnel:
    """With its fast path."""
    return _ours(place, store, via, OURS, ())


def ours_without_fast_path(place: Place, store: StorePorts, via: Via) -> Tunnel:
    """With asyncssh handling every packet."""
    return _ours(place, store, via, OURS_STOCK, ("--no-fast-path",))


def _ours(place: Place, store: StorePorts, via: Via, name: str, options: Sequence[str]) -> Tunnel:
    folder = place.folder / f"ours{''.join(options)}"
    folder.mkdir()
    environ = {"PYTHONPATH": str(ROOT), "INTEGRATION_SERVER_WATCH__TEST_INTERVAL_S": "0"}
    command = (sys.executable, "-m", "agent.server.cli.main", "--data-dir", str(folder / "data"))
    ready_file = folder / "ready.json"
    listeners = [part for name in ("ssh", "gateway", "panel") for part in (f"--{name}-listen", f"{LOOPBACK}:0")]
    server = place.start(
        f"{folder.name}-server",
        *(*command, "serve", *listeners, "--log-format", "json", "--ready-file", str(ready_file), *options),
        environ=environ,
    )
    _wait(ready_file.exists, lambda: f"the server did not start: {_log(place, f'{folder.name}-server')}")
    ready = json.loads(ready_file.read_text())
    login_port = int(ready["ssh"]["port"])
    address = f"{LOOPBACK}:{via(login_port)}"
    made = json.loads(run((*command, "agents", "create", "bench", "--public-ssh-address", address, "--json")))
    token = folder / "token"
    token.touch(0o600)
    token.write_text(made["access_token"])
    stores = {"shop": f"http://{LOOPBACK}:{store.port}/api/", "second": f"http://{LOOPBACK}:{store.second_port}/api/"}
    (folder / "agent.toml").write_text(
        f'token_file = "{token}"\nstate_dir = "{folder}/state"\nruntime_dir = "{folder}/run"\n'
        + "".join(f'[[stores]]\nurl = "{url}"\nmethods = "write"\n' for url in stores.values())
    )
    agent = place.start(
        f"{folder.name}-agent",
        *(sys.executable, "-m", "agent.cli.main", "run", "--config", str(folder / "agent.toml")),
        *("--log-format", "json", *options),
        environ=environ,
    )
    for slug, url in stores.items():
        connection = ("--name", slug, "--mode", "on-premise", "--agent", "bench", "--store-url", url)
        limits = ("--methods", "GET,HEAD,POST,PUT", "--concurrency", str(CONCURRENCY), "--api-key-file", "-")
        run((*command, "connections", "create", *connection, *limits), text="A" * 32 + "\n")
    key = json.loads(run((*command, "client-keys", "create", "--all", "--json")))["key"]

    def is_connected() -> bool:  # the command ends with 1 while no tunnel is up
        return len(json.loads(run((*command, "status", "--json"), good=(0, 1)))["tunnels"]) == TUNNELS

    def settle() -> None:
        _wait(is_connected, lambda: f"the agent did not connect: {_log(place, f'{folder.name}-agent')}")

    settle()
    gateway = f"http://{LOOPBACK}:{ready['gateway']['port']}"
    return Tunnel(
        name,
        f"{gateway}/shop/api/",
        ("Authorization: Basic " + base64.b64encode(f"{key}:".encode()).decode(),),
        server=lambda: (server.pid,),
        client=lambda: (agent.pid,),
        login_port=login_port,
        second_url=f"{gateway}/second/api/",
        settle=settle,
    )


def _wait(is_so: Callable[[], bool], complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint())
        time.sleep(0.1)  # a process of its own has no event for us


def _log(place: Place, name: str) -> str:
    return Path(place.folder / f"{name}.log").read_text()[-2000:]
