"""What this program and its surroundings are, in versions; nothing here is a secret."""

from __future__ import annotations

import importlib.metadata
import platform
import ssl
from typing import Final

import agent

_LIBRARIES: Final = tuple("asyncssh click cryptography pydantic pydantic-settings rich structlog uvloop".split())


def read_versions() -> dict[str, str]:
    """By name: the program, Python, OpenSSL, libraries, system, kernel. What is not there has "none"."""
    found = {
        "prestashop-agent": agent.__version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "system": _system(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"
