"""The tunnels that are compared: each is started for one store, and says where requests go and who carries them.

``via`` maps the port on which a server listens to the port that its client shall connect to: a relay's, in a WAN run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.tunnels.place import LOOPBACK, ROOT, AbsentPeerError, Place, free_port, run, tool, wait_for_port
from tests.bench.tunnels.store import TLS_NAME, StorePorts
from tests.bench.tunnels.usage import family

Via = Callable[[int], int]
Pids = Callable[[], tuple[int, ...]]

DIRECT: Final = "direct"
OPENSSH: Final = "OpenSSH gcm"
SPLICE: Final = "asyncssh splice"
SNITUN: Final = "snitun"

SNITUN_PACKAGES: Final = ROOT / ".venv" / "bench-peers"
"""Where ``make bench`` installs snitun: it is none of our dependencies."""


@dataclass(frozen=True)
class Tunnel:
    """``server`` and ``client`` give the processes of the two ends, the client's being on the store's side.

    ``login_port`` is the port on which the server takes its client's connection, ``second_url`` the way to another
    store through the same client, where it has one; ``settle`` returns when the client is connected (again).
    """

    name: str
    url: str
    headers: tuple[str, ...] = ()
    server: Pids = tuple
    client: Pids = tuple
    login_port: int = 0
    second_url: str = ""
    settle: Callable[[], None] | None = None

    def pids(self) -> tuple[int, ...]:
        """The processes of both ends; () when there is none."""
        return (*self.server(), *self.client())


Start = Callable[[Place, StorePorts, Via], Tunnel]


def direct(_place: Place, store: StorePorts, via: Via) -> Tunnel:
    """No tunnel."""
    return Tunnel(DIRECT, f"http://{LOOPBACK}:{via(store.port)}/api/")


def splice(place: Place, store: StorePorts, via: Via) -> Tunnel:
    """asyncssh as it comes."""
    ssh_port, port = free_port(), free_port()
    server = place.python("splice-server", "tests.bench.tunnels.splice", "server", str(ssh_port))
    client = place.python(
        "splice-client", "tests.bench.tunnels.splice", "client", str(via(ssh_port)), str(port), str(store.port)
    )
    return Tunnel(SPLICE, f"http://{LOOPBACK}:{port}/api/", server=lambda: (server.pid,), client=lambda: (client.pid,))


def snitun(place: Place, store: StorePorts, via: Via) -> Tunnel:
    """snitun, which picks the tunnel by the TLS server name. Raises AbsentPeerError when it is not installed."""
    if not (SNITUN_PACKAGES / "snitun").is_dir():
        raise AbsentPeerError("not installed; make bench does that where a package index can be reached")
    module, peer_port, port = "tests.bench.tunnels.snitun_ends", free_port(), free_port()
    server = place.python("snitun-server", module, "server", str(peer_port), str(port), packages=SNITUN_PACKAGES)
    ends = (str(via(peer_port)), str(store.tls_port))
    client = place.python("snitun-client", module, "client", *ends, packages=SNITUN_PACKAGES)
    return Tunnel(SNITUN, f"https://{TLS_NAME}:{port}/api/", server=lambda: (server.pid,), client=lambda: (client.pid,))


def openssh_default(place: Place, store: StorePorts, via: Via) -> Tunnel:
    """``ssh -N -R``: the usual way. It leaves Nagle's algorithm on."""
    return _openssh(place, store, via, "OpenSSH -N", ("-N",), ())


def openssh_command(place: Place, store: StorePorts, via: Via) -> Tunnel:
    """The stronger one: aes128-gcm, and a command in place of -N, which makes ssh set TCP_NODELAY."""
    options = ("-c", "aes128-gcm@openssh.com")
    return _openssh(place, store, via, OPENSSH, options, ("sleep infinity",))


def _openssh(
    place: Place, store: StorePorts, via: Via, name: str, options: Sequence[str], command: Sequence[str]
) -> Tunnel:
    sshd, ssh = tool("sshd"), tool("ssh")
    folder = place.folder / name.replace(" ", "-")
    folder.mkdir()
    for key in ("host", "user"):
        run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)))
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
        *("-o", "ExitOnForwardFailure=yes", "-R", f"{LOOPBACK}:{port}:{LOOPBACK}:{store.port}"),
        *(*options, f"root@{LOOPBACK}", *command),
    )
    wait_for_port(port)
    return Tunnel(
        name,
        f"http://{LOOPBACK}:{port}/api/",
        server=lambda: family(server.pid),
        client=lambda: family(client.pid),
    )
