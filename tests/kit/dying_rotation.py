"""``python -m tests.kit.dying_rotation DATA_DIR MOMENT [URL]``: rotates the keys, and is killed at a chosen moment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.server.operations import key_ring
from agent.server.operations.key_ring import rotate_keys
from agent.server.vault import Place, Vault
from tests.kit.control_plane import control_api

MOMENTS = ("ring written", "half sealed", "all sealed", "committed")


def kill() -> None:
    """As by a power cut: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str, envelopes: int, patch: pytest.MonkeyPatch) -> None:
    """Let the rotation of so many envelopes come to ``moment`` and no further."""
    seal, seal_anew = Vault.seal, key_ring.seal_anew
    sealed = 0

    def counted(self: Vault, secret: str, place: Place) -> bytes:
        nonlocal sealed
        if moment == "half sealed" and sealed == envelopes // 2:
            kill()
        sealed += 1
        return seal(self, secret, place)

    async def watched(*given: Any) -> int:
        if moment == "ring written":
            kill()
        number = await seal_anew(*given)
        if moment == "all sealed":
            kill()
        return number

    patch.setattr(Vault, "seal", counted)
    patch.setattr(key_ring, "seal_anew", watched)


async def rotate(data_dir: Path, moment: str, url: str | None) -> None:
    """Begin a rotation that does not come to its end."""
    async with control_api(data_dir, database_url=url) as api:
        envelopes = sum((await key_ring.look_at_keys(api.plane)).sealed.values())
        arm(moment, envelopes, pytest.MonkeyPatch())
        await rotate_keys(api.plane, "tester")
        kill()


if __name__ == "__main__":
    asyncio.run(rotate(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
