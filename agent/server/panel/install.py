"""How an agent is installed from this server's packages: lines to be pasted on a machine in a shop's network."""

from __future__ import annotations

from dataclasses import dataclass

from agent.server.downloads import Downloads, Package, newest
from agent.server.operations.control_plane import ControlPlane

_INSTALL = {"deb": "sudo apt-get install -y ./{name}", "rpm": "sudo dnf install -y ./{name}"}
_SYSTEM = {"deb": "Debian, Ubuntu", "rpm": "Fedora, Red Hat, AlmaLinux, Rocky"}


@dataclass(frozen=True, slots=True)
class InstallLine:
    """``command`` fetches the package, checks its sum, installs it, and asks for the access token."""

    package: Package
    system: str
    command: str


@dataclass(frozen=True, slots=True)
class InstallChoices:
    """``lines`` of the newest packages, ``packages`` are all; ``folder`` is where packages belong.

    ``is_public`` is False where only the address is known on which this server listens: others may not reach it.
    """

    lines: tuple[InstallLine, ...]
    packages: tuple[Package, ...]
    folder: str
    is_public: bool


async def install_choices(downloads: Downloads, plane: ControlPlane) -> InstallChoices:
    """What can be installed now."""
    packages = await downloads.packages()
    lines = tuple(_line(package, plane.panel_url or "") for package in newest(packages))
    folder = str(downloads.folders[0]) if downloads.folders else ""
    return InstallChoices(lines, packages, folder, plane.facts.public_panel_url is not None)


def _line(package: Package, panel_url: str) -> InstallLine:
    name = package.name
    steps = (
        f"curl -fLO {panel_url}/downloads/{name}",
        f'echo "{package.sha256}  {name}" | sha256sum -c',
        _INSTALL[package.kind].format(name=name),
        "sudo prestashop-agent enroll",
    )
    return InstallLine(package, f"{_SYSTEM[package.kind]} ({package.architecture})", " && \\\n".join(steps))
