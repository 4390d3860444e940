"""The link of a tunnel that nobody uses."""

from __future__ import annotations

from agent.streams import ByteSession
from agent.tunnel.messages import Goodbye


class NoLink:
    """A link that is never used."""

    async def open_channel(self, session: ByteSession) -> None: ...

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None: ...

    def drain(self, reason: str, retry_after_s: float | None) -> None: ...
