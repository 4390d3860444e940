"""SSH servers with a right key that are not our server, or do not behave as it does: told by a script of lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import asyncssh

from agent.tunnel.token import AccessToken, new_secret

Answer = Callable[[dict[str, Any]], list[dict[str, Any] | bytes]]
"""From a control message to what is answered; bytes are sent as they are."""


class ScriptedServer:
    """Takes every secret; grants the control channel when there is an ``answer``, and says what that gives."""

    def __init__(self, answer: Answer | None, *, delay_s: float = 0.0) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.heard: list[dict[str, Any]] = []
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._acceptor: asyncssh.SSHAcceptor

    async def __aenter__(self) -> Self:
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_Anybody,
            server_host_keys=[self._key],
            gss_host=None,
            encoding=None,
            process_factory=self._converse if self.answer is not None else None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()

    @property
    def token(self) -> AccessToken:
        """A token that pins the key."""
        address = f"127.0.0.1:{self._acceptor.get_port()}"
        return AccessToken((address,), (self._key.get_fingerprint("sha256"),), "agent-1", new_secret())

    async def _converse(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        assert self.answer is not None
        async for line in process.stdin:
            message = json.loads(line)
            self.heard.append({**message, "padding": ""})
            await asyncio.sleep(self.delay_s)
            for said in self.answer(message):
                process.stdout.write(said if isinstance(said, bytes) else json.dumps(said).encode() + b"\n")
        process.exit(0)


class _Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return True
