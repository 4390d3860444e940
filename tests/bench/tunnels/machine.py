"""Where a run was made, and with what."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import distributions, version
from pathlib import Path

from tests.bench.tunnels.peers import SNITUN_PACKAGES
from tests.bench.tunnels.place import run


def described() -> dict[str, str]:
    """Machine and versions, each under the name by which a person would look for it."""
    return {
        "CPU": f"{_cpu_name()}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("asyncssh", "cryptography", "uvloop")},
        "snitun": _snitun_version(),
        "OpenSSH": run(("sh", "-c", "ssh -V 2>&1")).strip(),
        "nginx": run(("sh", "-c", "nginx -v 2>&1 || /usr/sbin/nginx -v 2>&1")).strip().rpartition("/")[2],
        "wrk": run(("sh", "-c", "wrk -v 2>&1; true")).split("[")[0].removeprefix("wrk").strip(),
    }


def sentence(facts: Mapping[str, str]) -> str:
    """One line above the tables."""
    return "; ".join(f"{name}: {fact}" for name, fact in facts.items())


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _snitun_version() -> str:
    found = [each.version for each in distributions(name="snitun", path=[str(SNITUN_PACKAGES)])]
    return found[0] if found else "not installed"
