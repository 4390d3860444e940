"""The admin socket and the directory that is made for it."""

from __future__ import annotations

from pathlib import Path

from starlette.types import Receive, Scope, Send

from agent.server.admin_socket import AdminSocket


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is never called here."""


async def test_the_directory_can_be_entered_by_its_owner_alone(tmp_path: Path) -> None:
    # Modes are looked at rather than access, since root may enter a directory without any right.
    socket_path = tmp_path / "run" / "integration-server" / "admin.sock"
    admin = AdminSocket(nothing, socket_path)
    await admin.start()
    try:
        assert socket_path.stat().st_mode & 0o777 == 0o600
        assert socket_path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        await admin.close()
    assert not socket_path.exists()
