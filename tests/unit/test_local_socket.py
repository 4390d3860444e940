"""The running agent's socket: who may open it, what it answers, and that no client can hold it up."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.errors import AgentError
from agent.local_socket import CONNECTIONS_MAX, LINE_MAX_BYTES, LocalSocket
from tests.kit.until import until

PATIENT_S = 60.0
HASTY_S = 0.2


def refuse() -> dict[str, Any]:
    raise AgentError("not now")


def fail() -> dict[str, Any]:
    raise ZeroDivisionError


COMMANDS: dict[str, Callable[[], dict[str, Any]]] = {
    "echo": lambda: {"state": "Zürich"},
    "large": lambda: {"text": "x" * (8 << 20)},
    "refuse": refuse,
    "fail": fail,
}


@asynccontextmanager
async def listening(path: Path, conversation_max_s: float = PATIENT_S) -> AsyncIterator[LocalSocket]:
    local = LocalSocket(path, conversation_max_s)
    for name, command in COMMANDS.items():
        local.on(name, lambda _request, command=command: command())  # type: ignore[misc]  # bound now, not later
    async with local:
        yield local


async def say(path: Path, sent: bytes, *, end: bool = False) -> bytes:
    """Send, and read until the agent closes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(sent)
    if end:
        writer.write_eof()
    received = bytearray()
    try:
        while more := await reader.read(65536):
            received += more
    except (ConnectionResetError, BrokenPipeError):
        pass  # it was closed while more was on the way
    writer.close()
    return bytes(received)


def error_name(answer: bytes) -> str:
    assert answer.endswith(b"\n")
    name: str = json.loads(answer)["error"]["name"]
    return name


async def test_one_line_in_one_line_out_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path) as local:
        assert await say(path, b'{"command":"echo"}\n{"command":"echo"}\n') == b'{"state":"Z\\u00fcrich"}\n'
        await until(lambda: local.connections == 0)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b'{"command":"status?"}\n', "unknown_command"),
        (b'{"command":"refuse"}\n', "refused"),
        (b'{"command":"fail"}\n', "failed"),
        (b'{"command":7}\n', "bad_request"),
        (b'["command"]\n', "bad_request"),
        (b"[" * 4000 + b"\n", "bad_request"),
        (b"\n", "bad_request"),
        (b"\xff\xfe\n", "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", "bad_request"),
        (b"x" * (LINE_MAX_BYTES + 1), "too_long"),
        (b"x" * (LINE_MAX_BYTES + 1) + b"\n", "too_long"),
    ],
)
async def test_what_cannot_be_done_is_an_error_object(tmp_path: Path, sent: bytes, name: str) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path) as local:
        assert error_name(await say(path, sent)) == name
        await until(lambda: local.connections == 0)


async def test_a_giant_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path) as local:
        await say(path, b"x" * (16 << 20) + b"\n")
        await until(lambda: local.connections == 0)
        assert await say(path, b'{"command":"echo"}\n')


async def test_an_end_instead_of_a_line_feed_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path):
        assert error_name(await say(path, b'{"command":"echo"}', end=True)) == "bad_request"


async def test_the_longest_line_is_read_however_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    line = b'{"command":"echo","more":"%s"}' % (b"x" * (LINE_MAX_BYTES - 28))
    assert len(line) == LINE_MAX_BYTES
    async with listening(path):
        reader, writer = await asyncio.open_unix_connection(path)
        for start in range(0, len(line), 512):
            writer.write(line[start : start + 512])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"\n")
        assert json.loads(await reader.read())["state"]
        writer.close()


async def test_a_client_that_says_nothing_or_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path, HASTY_S) as local:
        silent, drip, deaf = [await asyncio.open_unix_connection(path) for _ in range(3)]
        deaf[1].write(b'{"command":"large"}\n')
        await until(lambda: local.connections == 3)

        async def dripping() -> None:
            while True:
                drip[1].write(b" ")
                await drip[1].drain()
                await asyncio.sleep(HASTY_S / 20)

        task = asyncio.create_task(dripping())
        await until(lambda: local.connections == 0)
        assert await silent[0].read() == b""
        with pytest.raises(OSError):
            await task
        for _, writer in (silent, drip, deaf):
            writer.transport.abort()
        assert await say(path, b'{"command":"echo"}\n')


async def test_a_crowd_is_turned_away_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path) as local:
        crowd = [await asyncio.open_unix_connection(path) for _ in range(CONNECTIONS_MAX)]
        await until(lambda: local.connections == CONNECTIONS_MAX)
        assert error_name(await say(path, b"")) == "busy"
        for _, writer in crowd:
            writer.transport.abort()
        await until(lambda: local.connections == 0)
        assert json.loads(await say(path, b'{"command":"echo"}\n'))["state"]


async def test_only_its_user_can_open_it_and_it_is_gone_afterwards(tmp_path: Path) -> None:
    # Modes are looked at rather than access, since root may enter a directory without any right.
    path = tmp_path / "run" / "prestashop-agent" / "agent.sock"
    async with listening(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.exists()


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with listening(path):
        assert await say(path, b'{"command":"echo"}\n')


async def test_the_socket_of_a_living_agent_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path):
        async with listening(path) as second:
            assert second._server is None
        assert await say(path, b'{"command":"echo"}\n')
    said = capsys.readouterr()
    assert f"Another prestashop-agent answers on the agent's socket {path}" in said.out + said.err


@pytest.mark.parametrize("place", ["long", "file"])
async def test_a_socket_that_cannot_be_made_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / ("x" * 108) / "agent.sock" if place == "long" else tmp_path / "file" / "agent.sock"
    async with listening(path) as local:
        assert local._server is None
    said = capsys.readouterr()
    assert "runtime_dir in the settings" in said.out + said.err
    assert ("is longer than the 107 bytes" in said.out + said.err) is (place == "long")


async def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with listening(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            # An inode number that is free may be given again: keep it from being the same one.
            (tmp_path / "keep").touch()
            successor.bind(str(path))
    assert path.is_socket()


async def test_a_command_that_waits_is_answered_when_it_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    begun, go_on = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def slow(request: Mapping[str, Any]) -> dict[str, Any]:
        begun.set()
        await go_on.wait()
        ended.append(request["who"])
        if request["who"] == "refused":
            raise AgentError("not these")
        return {"done": request["who"]}

    async with listening(path, HASTY_S) as local:
        local.on("slow", slow)
        leaver, asker, refused = [await asyncio.open_unix_connection(path) for _ in range(3)]
        for (_, writer), who in ((leaver, "leaver"), (asker, "asker"), (refused, "refused")):
            writer.write(json.dumps({"command": "slow", "who": who}).encode() + b"\n")
        await begun.wait()
        # Others are answered meanwhile, and the deadline of a conversation is not that of the command.
        assert await say(path, b'{"command":"echo"}\n')
        await asyncio.sleep(HASTY_S * 1.5)
        leaver[1].transport.abort()
        go_on.set()
        assert json.loads(await asker[0].read()) == {"done": "asker"}
        assert json.loads(await refused[0].read())["error"] == {"name": "refused", "message": "not these"}
        assert sorted(ended) == ["asker", "leaver", "refused"]
        for _, writer in (asker, refused):
            writer.close()
        await until(lambda: local.connections == 0)


async def test_what_still_waits_at_the_end_is_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    begun = asyncio.Event()

    async def endless(_request: Mapping[str, Any]) -> dict[str, Any]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    async with listening(path) as local:
        local.on("endless", endless)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command":"endless"}\n')
        await begun.wait()
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
