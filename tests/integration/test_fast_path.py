"""The fast path against asyncssh's own way, over real SSH connections: same bytes, same errors, no nonce twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import asyncssh
import pytest
from asyncssh.connection import SSHConnection

from agent.tunnel import fastpath, fastpath_check
from tests.kit.nonces import Nonces, counted_nonces
from tests.kit.random_traffic import random_traffic
from tests.kit.ssh_pair import End, Pair, ssh_pair
from tests.kit.until import until

FAST_FIRST = [(True, True), (True, False), (False, True)]
PACKETS = 3400  # each of three: 10^4 in all; tests/bench/fast_path_soak.py makes 10^6


@pytest.fixture
def nonces() -> Iterator[Nonces]:
    with counted_nonces() as counted:
        yield counted


def went_through(end: End) -> tuple[int, int]:
    """Packets (sent, received) on the fast path; both must be more than nothing where it is on."""
    return (end.path.packets_sent, end.path.packets_received) if end.path is not None else (0, 0)


def agree(pair: Pair) -> None:
    """Sequence numbers of both ends are the same, and so are the counters of their nonces."""
    for sender, receiver in ((pair.client.conn, pair.server.conn), (pair.server.conn, pair.client.conn)):
        assert sender._send_seq == receiver._recv_seq
        assert counter(sender._send_encryption) == counter(receiver._recv_encryption)


def counter(encryption: Any) -> bytes | int:
    return (
        encryption.invocation
        if hasattr(encryption, "invocation")
        else int.from_bytes(encryption._cipher._iv[4:], "big")
    )


@pytest.mark.parametrize(("fast_client", "fast_server"), FAST_FIRST)
async def test_random_packets_arrive_as_they_were_sent(
    fast_client: bool, fast_server: bool, nonces: Nonces, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("FAST_PATH_SEED") or random.randrange(1 << 32))
    with capsys.disabled():
        print(f"\nFAST_PATH_SEED={seed}", end=" ")
    async with ssh_pair(fast_client=fast_client, fast_server=fast_server) as pair:
        await random_traffic(pair, seed, PACKETS)
        await asyncio.sleep(0)
        await until(lambda: pair.client.conn._send_seq == pair.server.conn._recv_seq)
        agree(pair)
        for end in (pair.client, pair.server):
            if end.has_fast_path:
                assert min(went_through(end)) > PACKETS / 4
    assert nonces.twice == 0
    assert len(nonces.seen) > PACKETS


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"])
@pytest.mark.parametrize(("fast_client", "fast_server"), FAST_FIRST)
async def test_keys_are_exchanged_anew_under_load(
    fast_client: bool, fast_server: bool, cipher: str, nonces: Nonces
) -> None:
    async with ssh_pair(fast_client=fast_client, fast_server=fast_server, cipher=cipher, rekey_bytes=60_000) as pair:
        await random_traffic(pair, 7, 300)
        assert len({key for key, _ in nonces.seen}) > 20  # many exchanges of keys, from both sides
        await until(lambda: pair.client.conn._send_seq == pair.server.conn._recv_seq)
        agree(pair)
    assert nonces.twice == 0


async def test_keys_are_exchanged_anew_when_their_time_is_over(nonces: Nonces) -> None:
    async with ssh_pair(fast_client=True, fast_server=True, rekey_seconds=0.05) as pair:
        near, far = await pair.channel()
        written = 0

        def write_and_look() -> bool:
            nonlocal written
            near.channel.write(b"x")
            written += 1
            return len({key for key, _ in nonces.seen}) >= 6

        await until(write_and_look)
        await until(lambda: len(far.received) == written)
    assert nonces.twice == 0


async def test_other_ciphers_go_asyncssh_s_own_way() -> None:
    async with ssh_pair(fast_client=True, fast_server=True, cipher="chacha20-poly1305@openssh.com") as pair:
        await random_traffic(pair, 3, 100)
        assert pair.client.path is pair.server.path is None
        assert fastpath_check.obstacle(pair.client.conn) == ("the cipher is chacha20-poly1305@openssh.com, not AES-GCM")


@pytest.mark.parametrize(("fast_client", "fast_server"), FAST_FIRST)
async def test_sequence_numbers_wrap(fast_client: bool, fast_server: bool) -> None:
    async with ssh_pair(fast_client=fast_client, fast_server=fast_server) as pair:
        near, far = await pair.channel()
        for conn in (pair.client.conn, pair.server.conn):
            conn._send_seq = conn._recv_seq = 0xFFFFFFFE
        for _ in range(4):
            near.channel.write(b"up")
            far.channel.write(b"down")
            await asyncio.sleep(0)
        await until(lambda: bytes(near.received + far.received) == b"down" * 4 + b"up" * 4)
        assert pair.client.conn._send_seq < 100
        agree(pair)


async def endings(fast_client: bool, fast_server: bool, harm: Callable[[bytes], bytes | None]) -> list[str]:
    """How both ends hear of it when the first packet that the client sends is harmed."""
    armed = harmed = False

    def tamper(direction: str, data: bytes) -> bytes | None:
        nonlocal harmed
        if not armed or harmed or direction != "up":
            return data
        harmed = True
        return harm(data)

    async with ssh_pair(fast_client=fast_client, fast_server=fast_server, tamper=tamper) as pair:
        near, far = await pair.channel()
        far.channel.write(b"before")
        await until(lambda: near.received == b"before")
        armed = True
        far.channel.write(b"x" * 1000)
        await until(lambda: harmed)
        if harm is shortened:  # what is missing is made up from this; any other end comes by itself
            far.channel.write(b"y" * 1000)
        await pair.ended()
        assert near.received == b"before"
        await until(lambda: bool(near.ended and far.ended))
        return [f"{type(error).__name__}: {error}" for error in (*pair.client.lost, *pair.server.lost)]


def shortened(data: bytes) -> bytes:
    return data[:-20]


def flipped(place: int) -> Callable[[bytes], bytes]:
    def harm(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[place] ^= 0x40
        return bytes(changed)

    return harm


@pytest.mark.parametrize(
    "harm",
    [flipped(-1), flipped(-500), flipped(0), shortened, lambda data: None],
    ids=["tag", "body", "length", "a part is missing", "cut"],
)
async def test_a_harmed_packet_ends_as_without_the_fast_path(harm: Callable[[bytes], bytes | None]) -> None:
    expected = await endings(False, False, harm)
    assert "NoneType" not in expected[1]  # the end that reads it says what is wrong
    for fast_client, fast_server in FAST_FIRST:
        assert await endings(fast_client, fast_server, harm) == expected


def uint32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def hostile(pair: Pair, kind: str) -> tuple[int, bytes]:
    """Type and payload of a packet that no honest end sends on the first channel."""
    number = next(iter(pair.client.conn._channels.values()))._send_chan
    assert number is not None
    channel = uint32(number)
    return {
        "unknown channel": (94, uint32(77) + uint32(3) + b"abc"),
        "length beyond the packet": (94, channel + uint32(300) + b"abc"),
        "bytes behind the data": (94, channel + uint32(3) + b"abcdef"),
        "empty data": (94, channel + uint32(0)),
        "beyond the window": (94, channel + uint32(70_000) + b"x" * 70_000),
        "no payload": (94, b""),
        "half a number": (94, b"\0\0"),
        "window beyond the channel": (93, uint32(77) + uint32(3)),
        "short window": (93, channel + b"\0"),
        "long window": (93, channel + uint32(3) + b"\0"),
        "extended data": (95, channel + uint32(1) + uint32(3) + b"abc"),
        "unknown type": (99, channel),
    }[kind]


HOSTILE = (
    "unknown channel,length beyond the packet,bytes behind the data,empty data,beyond the window,no payload,"
    "half a number,window beyond the channel,short window,long window,extended data,unknown type"
).split(",")


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_packet_ends_as_without_the_fast_path(kind: str) -> None:
    async def outcome(fast_server: bool) -> tuple[list[str], bytes]:
        async with ssh_pair(fast_client=False, fast_server=fast_server) as pair:
            near, far = await pair.channel()
            SSHConnection.send_packet(pair.client.conn, *hostile(pair, kind))
            if pair.client.conn.is_closed() is False:
                far.channel.write(b"after")
            await until(lambda: bool(pair.server.lost) or near.received == b"after")
            return [f"{type(error).__name__}: {error}" for error in pair.server.lost], bytes(near.received)

    assert await outcome(True) == await outcome(False)


def broken(data: bytes, datatype: int | None = None) -> None:
    raise ValueError(data)


async def test_a_session_that_fails_ends_as_without_the_fast_path() -> None:
    async def outcome(fast: bool) -> list[str]:
        async with ssh_pair(fast_client=fast, fast_server=fast) as pair:
            near, far = await pair.channel()
            near.data_received = broken  # type: ignore[method-assign]
            far.channel.write(b"x")
            await pair.ended()
            return [type(error).__name__ for error in (*pair.client.lost, *pair.server.lost)]

    assert await outcome(True) == await outcome(False)


@pytest.mark.parametrize("piece_bytes", [1, 7, 200])
async def test_packets_that_come_in_pieces_are_put_together(piece_bytes: int) -> None:
    async with ssh_pair(fast_client=True, fast_server=True, piece_bytes=piece_bytes) as pair:
        near, far = await pair.channel()
        for size in (1, 50, 1000):
            far.channel.write(b"x" * size)
            near.channel.write(b"y" * size)
        await until(lambda: bytes(near.received + far.received) == b"x" * 1051 + b"y" * 1051)
        assert went_through(pair.client) == went_through(pair.server) == (4, 3)  # one each opened the channel


def test_another_version_of_asyncssh_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncssh, "__version__", "2.99.0")
    fastpath_check.why_not.cache_clear()
    try:
        assert fastpath_check.why_not() == "asyncssh 2.99.0 was not verified with it, but 2.24.1"
        assert fastpath.install(None) is None  # type: ignore[arg-type]
    finally:
        monkeypatch.undo()
        fastpath_check.why_not.cache_clear()
    assert fastpath_check.why_not() == ""
