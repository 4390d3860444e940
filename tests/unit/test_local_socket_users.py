"""The running agent's socket: what the group may ask, and what only root and the agent's user may do."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.local_socket import CONNECTIONS_MAX, LocalSocket
from tests.unit.test_local_socket import PATIENT_S, error_name, listening, say


async def test_who_may_only_ask_changes_nothing(tmp_path: Path) -> None:
    """The directory's group may see how the agent is; the shop's switch is not theirs."""
    path, changed = tmp_path / "agent.sock", []

    def change(request: Mapping[str, Any]) -> dict[str, Any]:
        changed.append(request["who"])
        return {}

    async def ask(who: str, may_change: frozenset[int]) -> bytes:
        async with LocalSocket(path, PATIENT_S, may_change=may_change) as local:
            local.on("change", change, changes=True)
            local.on("echo", lambda _request: {})
            assert await say(path, b'{"command":"echo"}\n') == b"{}\n"
            return await say(path, json.dumps({"command": "change", "who": who}).encode() + b"\n")

    refused = await ask("another", frozenset({os.geteuid() + 1}))
    assert error_name(refused) == "forbidden"
    assert b"sudo" in refused
    assert await ask("own", frozenset({os.geteuid()})) == b"{}\n"
    assert changed == ["own"]
    assert LocalSocket(path).may_change == {0, os.geteuid()}


async def test_those_who_may_only_ask_leave_room_for_the_others(tmp_path: Path) -> None:
    """Else a member of the group could keep the shop's administrator from the switch."""
    path = tmp_path / "agent.sock"
    async with listening(path) as local:
        local.may_change = frozenset()
        held = [await asyncio.open_unix_connection(path) for _ in range(CONNECTIONS_MAX)]
        assert error_name(await say(path, b'{"command":"echo"}\n')) == "busy"
        local.may_change = frozenset({os.geteuid()})
        assert b"state" in await say(path, b'{"command":"echo"}\n')
        for _, writer in held:
            writer.close()
