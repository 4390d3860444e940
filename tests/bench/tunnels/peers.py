"""The tunnels that are compared: each is started for one store, and says where requests go and who carries them.

``via`` maps the port on which a server listens to the port that its client shall connect to: a relay's, in a WAN run.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.tunnels.place import LOOPBACK, Place, free_port, run, tool, wait_for_port
from tests.bench.tunnels.usage import family

Via = Callable[[int], int]

CONCURRENCY = 50  # the most that a connection allows; the gateway lets the rest wait for its turn


@dataclass(frozen=True)
class Tunnel:
    """``pids()`` are the processes of both ends; () when there is none."""

    name: str
    url: str
    headers: tuple[str, ...] = ()
    pids: Callable[[], tuple[int, ...]] = tuple
    secret: str = ""


Start = Callable[[Place, int, Via], Tunnel]


def direct(_place: Place, store_port: int, via: Via) -> Tunnel:
    """No tunnel."""
    return Tunnel("direct", f"http://{LOOPBACK}:{via(store_port)}/api/")


def splice(place: Place, store_port: int, via: Via) -> Tunnel:
    """asyncssh as it comes."""
    ssh_port, port = free_port(), free_port()
    server = place.python("splice-server", "tests.bench.tunnels.splice", "server", str(ssh_port))
    client = place.python(
        "splice-client", "tests.bench.tunnels.splice", "client", str(via(ssh_port)), str(port), str(store_port)
    )
    return Tunnel("asyncssh splice", f"http://{LOOPBACK}:{port}/api/", pids=lambda: (server.pid, client.pid))


def openssh_default(place: Place, store_port: int, via: Via) -> Tunnel:
    """``ssh -N -R``: the usual way. It leaves Nagle's algorithm on."""
    return _openssh(place, store_port, via, "OpenSSH -N", ("-N",), ())


def openssh_command(place: Place, store_port: int, via: Via) -> Tunnel:
    """The stronger one: aes128-gcm, and a command in place of -N, which makes ssh set TCP_NODELAY."""
    options = ("-c", "aes128-gcm@openssh.com")
    return _openssh(place, store_port, via, "OpenSSH gcm", options, ("sleep infinity",))


def _openssh(
    place: Place, store_port: int, via: Via, name: str, options: Sequence[str], command: Sequence[str]
) -> Tunnel:
    sshd, ssh = tool("sshd", "openssh-server"), tool("ssh", "openssh-client")
    folder = place.folder / name.replace(" ", "-")
    folder.mkdir()
    for key in ("host", "user"):
        run((tool("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)))
    ssh_port, port = free_port(), free_port()
    Path("/run/sshd").mkdir(exist_ok=True)  # its privilege separation wants it
    (folder / "sshd_config").write_text(
        f"Port {ssh_port}\nListenAddress {LOOPBACK}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n"
    )
    server = place.start(f"{folder.name}-sshd", sshd, "-D", "-f", str(folder / "sshd_config"))
    wait_for_port(ssh_port)
    client = place.start(
        f"{folder.name}-ssh",
        *(ssh, "-F", "none", "-i", str(folder / "user"), "-p", str(via(ssh_port))),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
        *("-o", "ExitOnForwardFailure=yes", "-R", f"{LOOPBACK}:{port}:{LOOPBACK}:{store_port}"),
        *(*options, f"root@{LOOPBACK}", *command),
    )
    wait_for_port(port)
    return Tunnel(name, f"http://{LOOPBACK}:{port}/api/", pids=lambda: (*family(server.pid), *family(client.pid)))


def ours(place: Place, store_port: int, via: Via) -> Tunnel:
    """prestashop-agent and integration-server, as they are installed."""
    return _ours(place, store_port, via, "prestashop-agent", ())


def ours_without_fast_path(place: Place, store_port: int, via: Via) -> Tunnel:
    """The same with asyncssh handling every packet."""
    return _ours(place, store_port, via, "the same, --no-fast-path", ("--no-fast-path",))


def _ours(place: Place, store_port: int, via: Via, name: str, options: Sequence[str]) -> Tunnel:
    folder = place.folder / f"ours{''.join(options)}"
    folder.mkdir()
    root = str(Path(__file__).resolve().parents[3])
    environ = {"PYTHONPATH": root, "INTEGRATION_SERVER_WATCH__TEST_INTERVAL_S": "0"}
    os.environ["PYTHONPATH"] = root
    command = (sys.executable, "-m", "agent.server.cli.main", "--data-dir", str(folder / "data"))
    ready_file = folder / "ready.json"
    listeners = [part for name in ("ssh", "gateway", "panel") for part in (f"--{name}-listen", f"{LOOPBACK}:0")]
    server = place.start(
        f"{folder.name}-server",
        *(*command, "serve", *listeners, "--log-format", "json", "--ready-file", str(ready_file), *options),
        environ=environ,
    )
    deadline = time.monotonic() + 30
    while not ready_file.exists():
        if time.monotonic() > deadline or server.poll() is not None:
            raise RuntimeError(f"the server did not start: {(place.folder / f'{folder.name}-server.log').read_text()}")
        time.sleep(0.05)  # a process of somebody else has no event
    ready = json.loads(ready_file.read_text())
    address = f"{LOOPBACK}:{via(ready['ssh']['port'])}"
    made = json.loads(run((*command, "agents", "create", "bench", "--public-ssh-address", address, "--json")))
    store = f"http://{LOOPBACK}:{store_port}/api/"
    token = folder / "token"
    token.touch(0o600)
    token.write_text(made["access_token"])
    (folder / "agent.toml").write_text(
        f'token_file = "{token}"\nstate_dir = "{folder}/state"\nruntime_dir = "{folder}/run"\n'
        f'[[stores]]\nurl = "{store}"\nmethods = "write"\n'
    )
    agent = place.start(
        f"{folder.name}-agent",
        *(sys.executable, "-m", "agent.cli.main", "run", "--config", str(folder / "agent.toml")),
        *("--log-format", "json", *options),
        environ=environ,
    )
    connection = ("--name", "shop", "--mode", "on-premise", "--agent", "bench", "--store-url", store)
    limits = ("--methods", "GET,HEAD,POST,PUT", "--concurrency", str(CONCURRENCY), "--api-key-file", "-")
    run((*command, "connections", "create", *connection, *limits), text="A" * 32 + "\n")
    key = json.loads(run((*command, "client-keys", "create", "--all", "--json")))["key"]
    basic = "Authorization: Basic " + base64.b64encode(f"{key}:".encode()).decode()
    url = f"http://{LOOPBACK}:{ready['gateway']['port']}/shop/api/"
    return Tunnel(name, url, (basic,), lambda: (server.pid, agent.pid))
