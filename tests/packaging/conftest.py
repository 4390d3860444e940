"""The packages in ``dist/`` (or the folder that PACKAGES_DIST names), unpacked."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import agent
from tests.kit.debian_root import DebianRoot
from tests.kit.tools import missing, require_tool

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = ("prestashop-agent", "integration-server")


@dataclass(frozen=True, slots=True)
class Built:
    """One product's packages, and the folder in which the Debian one lies unpacked."""

    name: str
    deb: Path
    rpm: Path
    unpacked: Path

    @property
    def files(self) -> list[str]:
        """Every file and link of the Debian package, without the leading slash."""
        return sorted(
            str(file.relative_to(self.unpacked))
            for file in self.unpacked.rglob("*")
            if not file.is_dir() and "DEBIAN" not in file.relative_to(self.unpacked).parts
        )


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Both products by name."""
    require_tool("dpkg-deb", "dpkg")
    dist = Path(os.environ.get("PACKAGES_DIST") or ROOT / "dist")
    found = {}
    for name in PRODUCTS:
        debs = list(dist.glob(f"{name}_{agent.__version__}_*.deb"))
        rpms = list(dist.glob(f"{name}-{agent.__version__}.*.rpm"))
        if len(debs) != 1 or len(rpms) != 1:
            missing(f"there are no packages of {name} {agent.__version__} in {dist}: make packages builds them")
        unpacked = tmp_path_factory.mktemp(name) / "deb"
        subprocess.run(["dpkg-deb", "-R", str(debs[0]), str(unpacked)], check=True)
        found[name] = Built(name, debs[0], rpms[0], unpacked)
    return found


@pytest.fixture(params=PRODUCTS)
def built(request: pytest.FixtureRequest, packages: dict[str, Built]) -> Built:
    """One of them."""
    return packages[request.param]


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> DebianRoot:
    """A Debian that has nothing of ours before and after each test of a module that uses it."""
    return DebianRoot(tmp_path_factory.mktemp("debian") / "root")


@pytest.fixture(scope="session")
def clean(debian: DebianRoot) -> frozenset[str]:
    """Its files before anything was installed."""
    return debian.files()
