"""What the fast path reads into a buffer that all connections share: nothing of one is seen by another, or too late."""

from __future__ import annotations

import asyncio

import pytest

from agent.tunnel.fast_reader import FastReader
from tests.kit.ssh_pair import Recorder, ssh_pair
from tests.kit.until import until

WINDOW = 1 << 20


def pattern(seed: int, size: int) -> bytes:
    return bytes((seed * 7 + at * 31) & 0xFF for at in range(251)) * (size // 251)


async def all_arrives(near: Recorder, far: Recorder, sent: bytes) -> None:
    for at in range(0, len(sent), 50_000):
        far.channel.write(sent[at : at + 50_000])
    await until(lambda: len(near.received) == len(sent))
    assert near.received == sent


@pytest.mark.parametrize("piece_bytes", [0, 7_000, 40_000])
async def test_connections_do_not_meet_in_the_buffer(piece_bytes: int) -> None:
    async with (
        ssh_pair(fast_client=False, fast_server=True, piece_bytes=piece_bytes) as one,
        ssh_pair(fast_client=True, fast_server=True, piece_bytes=piece_bytes) as other,
    ):
        ends = [await pair.channel(window=WINDOW) for pair in (one, other, one)]
        await asyncio.gather(*(all_arrives(near, far, pattern(seed, 900_000)) for seed, (near, far) in enumerate(ends)))
        for pair in (one, other):
            assert pair.server.path is not None
            assert pair.server.path.packets_received > 25
            assert isinstance(pair.server.conn._transport.get_protocol(), FastReader)  # type: ignore[union-attr]


@pytest.mark.parametrize("held_max", [0, 9_000, 1 << 17])
async def test_a_part_of_a_packet_is_held_whatever_its_length(held_max: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.tunnel.fast_reader.HELD_MAX_BYTES", held_max)
    async with ssh_pair(fast_client=True, fast_server=True, piece_bytes=11_000) as pair:
        near, far = await pair.channel(window=WINDOW)
        await all_arrives(near, far, pattern(3, 500_000))
        assert type(pair.server.conn._inpbuf) is bytes


async def test_keys_change_in_the_middle_of_what_was_read() -> None:
    """A key exchange takes asyncssh's own way, and what lies behind it in the buffer is kept for it."""
    async with ssh_pair(fast_client=True, fast_server=True, rekey_bytes=100_000) as pair:
        near, far = await pair.channel(window=WINDOW)
        path = pair.server.path
        assert path is not None
        keys = []
        for one, other in ((near, far), (far, near)):
            await all_arrives(one, other, pattern(5, 800_000))
            keys.append(path._opening)
        assert None not in keys
        assert keys[0] is not keys[1], "no key was changed"
