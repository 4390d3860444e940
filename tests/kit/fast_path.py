"""Whether this run of the tests has the fast path on: ``PRESTASHOP_AGENT_FAST_PATH=0`` (``make slow-path``) is off.

Processes read it, and the server its ``INTEGRATION_SERVER_FAST_PATH``, as the setting that it is; ``conftest`` does
the same to both ends that run inside the tests.
"""

from __future__ import annotations

import os
from typing import Final

_INHERITED: Final = ("PATH", "LANG", "PYTHONPATH", "PRESTASHOP_AGENT_FAST_PATH", "INTEGRATION_SERVER_FAST_PATH")

IS_ON: Final = os.environ.get("PRESTASHOP_AGENT_FAST_PATH", "1") != "0"


def inherited() -> dict[str, str]:
    """What a process started by a test gets of the environment: where programs are, and this switch."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
