"""What the two packages are: names, units, words, and the Python and machine they are built for."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The interpreter of Debian that the compiled libraries are for: the one that builds."""

MAINTAINER: Final = "prestashop-agent maintainers <maintainers@prestashop-agent.invalid>"
DEBIAN_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el"}


class BuildError(Exception):
    """The packages cannot be built; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Product:
    """One program and the package that brings it. ``left_out`` are paths below the repository that it does not need."""

    name: str
    module: str
    lock: str
    settings_file: str
    left_out: tuple[str, ...]
    summary: str
    description: tuple[str, ...]

    @property
    def home(self) -> str:
        """Where the program is installed, without the leading slash."""
        return f"usr/lib/{self.name}"

    def units(self) -> list[Path]:
        """Its units in ``systemd/``: services (templates too) and sockets."""
        found = sorted((ROOT / "systemd").glob(f"{self.name}*"))
        return [unit for unit in found if unit.suffix in (".service", ".socket")]


# The demo starts the server as a process, and shows itself from a checkout (`make demo`): no shop needs it.
_DEMO: Final = ("agent/demo/", "agent/cli/demo.py")

AGENT: Final = Product(
    name="prestashop-agent",
    module="agent.cli.main",
    lock="agent.txt",
    settings_file="agent.toml",
    left_out=("agent/server/", *_DEMO),
    summary="reverse SSH tunnels for the webservice of PrestaShop stores",
    description=(
        (
            "A daemon for the network of a PrestaShop store. It dials out to an integration server, keeps reverse SSH "
            "tunnels open, and forwards requests of cloud integrations to the stores, resources and methods that its "
            "own settings open; nothing else, and no port is opened here."
        ),
        "It brings its Python libraries with it, under /usr/lib/prestashop-agent.",
    ),
)
SERVER: Final = Product(
    name="integration-server",
    module="agent.server.cli.main",
    lock="server.txt",
    settings_file="server.toml",
    left_out=_DEMO,
    summary="gateway and SSH endpoint for PrestaShop agents",
    description=(
        (
            "The cloud side of prestashop-agent: an SSH endpoint for agents, an HTTP gateway that integrations use in "
            "place of a PrestaShop shop's own webservice, and a web panel with a control API."
        ),
        "It brings its Python libraries with it, under /usr/lib/integration-server.",
    ),
)
PRODUCTS: Final = (AGENT, SERVER)


def version() -> str:
    """The version of the code."""
    sys.path.insert(0, str(ROOT))
    import agent

    return agent.__version__


def machine() -> str:
    """The kernel's name of this machine, which is rpm's, too."""
    return platform.machine()


def debian_architecture() -> str:
    """Debian's name of this machine."""
    try:
        return DEBIAN_ARCHITECTURES[machine()]
    except KeyError:
        raise BuildError(f"Debian's name of the machine {machine()} is not known: add it to {__file__}.") from None


@functools.cache
def epoch() -> int:
    """The one time that is in the packages: ``SOURCE_DATE_EPOCH``, else that of the last commit, Unix seconds."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    try:
        return int(run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]))
    except BuildError:
        raise BuildError("This is no git checkout: set SOURCE_DATE_EPOCH to the Unix time of this release.") from None


def run(command: list[str], *, environ: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run ``command`` and give what it wrote to standard output.

    Raises:
        BuildError: it is not installed, or it failed; with what it wrote.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **(environ or {})}, cwd=cwd
        )
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is missing: docs/packages.md says which packages building needs.") from None
    if done.returncode:
        raise BuildError(f"{' '.join(command[:4])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
