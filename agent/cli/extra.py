"""Whether the libraries of the extra ``server`` are there: the shop's machine is installed without them."""

from __future__ import annotations

import importlib.util
from typing import Final

INSTALL_SERVER: Final = "pip install 'prestashop-agent[server]'"
"""What brings the libraries; the package that is there stays as it is."""

_SERVER_NEEDS: Final = ("aiosmtplib", "aiosqlite", "alembic", "argon2", "fastapi", "sqlalchemy", "uvicorn")


def missing_server_libraries() -> str:
    """Names by commas, "" when all are there; nothing is imported."""
    return ", ".join(name for name in _SERVER_NEEDS if importlib.util.find_spec(name) is None)
