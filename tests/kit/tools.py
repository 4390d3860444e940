"""System tools a test needs: a newcomer gets a skip that says how to install them, CI gets a failure."""

from __future__ import annotations

import os
import shutil

import pytest

STRICT = os.environ.get("PRESTASHOP_AGENT_TESTS_STRICT") == "1"


def require_tool(command: str, debian_package: str) -> str:
    """Path of ``command``; without it the test skips, or fails where everything must be there (CI)."""
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if path is not None:
        return path
    missing(f"{command} is not installed: apt-get install {debian_package}")
    raise AssertionError  # missing() never returns


def missing(reason: str) -> None:
    """Skip with ``reason``, or fail in strict mode."""
    if STRICT:
        pytest.fail(f"needed in strict mode: {reason}")
    pytest.skip(reason)
