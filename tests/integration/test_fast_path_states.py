"""The fast path in the moments in which a connection changes: the same as without it, and nothing out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest

from agent.streams import ByteChannel
from agent.tunnel.algorithms import PACKET_MIN_BYTES
from agent.tunnel.channel import open_channel
from agent.tunnel.fastpath import FastPath
from agent.tunnel.flow import LinkFlow, LinkLimits
from agent.tunnel.packet_seal import KEPT_AFTER, PacketSeal
from tests.kit.random_traffic import random_traffic
from tests.kit.ssh_pair import Pair, Recorder, ssh_pair
from tests.kit.until import until

WAYS = [False, True]
BIG = bytes(range(256)) * 6000  # far more than the sockets between take at once
WIDE = 1 << 22


def seal_raw(pair: Pair, packet: bytes) -> None:
    """Send from the client a genuine packet with this in it, however absurd."""
    conn = pair.client.conn
    assert conn._send_encryption is not None
    body, tag = conn._send_encryption.encrypt_packet(conn._send_seq, len(packet).to_bytes(4, "big"), packet)
    conn._send(body + tag)


@pytest.mark.parametrize("packet", [b"", b"\x04", b"\x04" * 5, b"\x5e" * 11, b"\xff" * 32], ids=len)
async def test_genuine_packets_with_nothing_in_them_end_as_without_it(packet: bytes) -> None:
    async def outcome(fast: bool) -> list[str]:
        async with ssh_pair(fast_client=False, fast_server=fast) as pair:
            await pair.channel()
            seal_raw(pair, packet)
            seal_raw(pair, bytes(64))  # what asyncssh takes for the rest of a packet that is too short
            await until(lambda: bool(pair.server.lost))
            return [f"{type(error).__name__}: {error}" for error in pair.server.lost]

    assert await outcome(True) == await outcome(False)


def when_full(pair: Pair, action: Callable[[], None]) -> list[None]:
    """Do it, once, at the moment in which the server's transport says that it is full; what it has done."""
    done: list[None] = []

    def pause() -> None:
        if not done:
            done.append(None)
            action()

    pair.server.conn.pause_writing = pause  # type: ignore[method-assign]
    return done


@pytest.mark.parametrize("fast", WAYS)
async def test_a_channel_that_is_aborted_by_its_own_write_sends_nothing_behind_its_end(fast: bool) -> None:
    async with ssh_pair(fast_client=True, fast_server=fast) as pair:
        near, far = await pair.channel(window=WIDE)
        pair.opened[0].channel._recv_window = WIDE
        near.channel._send_window = WIDE
        other, other_far = await pair.channel()
        done = when_full(pair, near.channel.abort)
        near.channel.write(BIG)
        assert done
        await until(lambda: bool(far.ended))
        other.channel.write(b"alive")
        await until(lambda: other_far.received == b"alive")
        assert not pair.client.lost
        assert BIG.startswith(far.received)


@pytest.mark.parametrize("fast", WAYS)
async def test_what_is_written_when_the_link_is_full_comes_behind_what_filled_it(fast: bool) -> None:
    async with ssh_pair(fast_client=True, fast_server=fast) as pair:
        near, far = await pair.channel()
        far.channel._recv_window = near.channel._send_window = WIDE
        done = when_full(pair, lambda: near.channel.write(b"behind"))
        near.channel.write(BIG)
        assert done
        await until(lambda: len(far.received) == len(BIG) + 6)
        assert bytes(far.received) == BIG + b"behind"
        if pair.server.path is not None:
            assert not pair.server.path._queue


@pytest.mark.parametrize("fast", WAYS)
async def test_a_packet_of_asyncssh_s_own_overtakes_none_that_was_sealed_when_the_link_became_full(fast: bool) -> None:
    async with ssh_pair(fast_client=True, fast_server=fast) as pair:
        near, far = await pair.channel(window=WIDE)
        far.channel._recv_window = near.channel._send_window = WIDE
        conn = pair.server.conn
        conn.pause_writing = lambda: near.channel.write(b"P")  # type: ignore[method-assign]
        transport = conn._transport
        assert transport is not None
        transport.set_write_buffer_limits(high=1000)
        for _ in range(60):
            near.channel.write(bytes(30_000))
            conn.send_packet(2, bytes(4))  # MSG_IGNORE
        await until(lambda: len(far.received) >= 60 * 30_000)
        assert not pair.client.lost and not pair.server.lost
        assert bytes(far.received).strip(b"P").count(b"\0") == 60 * 30_000


async def test_no_data_is_sealed_once_a_key_exchange_is_due_or_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ssh_pair(fast_client=True, fast_server=True, rekey_bytes=200_000) as pair:
        near, far = await pair.channel()
        far.channel._recv_window = near.channel._send_window = WIDE
        conn = pair.server.conn
        put, sealed_at = FastPath.put, []

        def looked_at(path: FastPath, *payload: bytes | memoryview) -> None:
            if path is pair.server.path:
                assert conn._kex_complete
                sealed_at.append(conn._rekey_bytes_sent)
            put(path, *payload)

        monkeypatch.setattr(FastPath, "put", looked_at)
        near.channel.write(BIG)
        near.channel.write(b"behind")
        assert not conn._kex_complete
        await until(lambda: len(far.received) == len(BIG) + 6)
        assert bytes(far.received) == BIG + b"behind"
        assert len(sealed_at) > len(BIG) / 40_000
        assert max(sealed_at) < conn._rekey_bytes


def abort(pair: Pair, near: Recorder) -> None:
    pair.server.conn.abort()


def disconnect(pair: Pair, near: Recorder) -> None:
    pair.server.conn.disconnect(11, "bye")


def close_transport(pair: Pair, near: Recorder) -> None:
    transport: Any = pair.server.conn._transport
    transport.abort()


def cut_by_the_peer(pair: Pair, near: Recorder) -> None:
    transport: Any = pair.client.conn._transport
    transport.abort()


@pytest.mark.parametrize("end", [abort, disconnect, close_transport, cut_by_the_peer])
async def test_a_connection_that_ends_with_a_full_queue_tells_as_without_it(
    end: Callable[[Pair, Recorder], None],
) -> None:
    async def outcome(fast: bool) -> list[object]:
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        async with ssh_pair(fast_client=False, fast_server=fast) as pair:
            near, far = await pair.channel()
            near.channel.write(b"x" * 1000)
            end(pair, near)
            for _ in range(3):
                near.channel.send_packet(98, b"\0\0\0\x01x\0")
                await asyncio.sleep(0)
            await pair.ended()
            if pair.server.path is not None:
                assert pair.server.path._queue == []
            with pytest.raises(BrokenPipeError):
                near.channel.write(b"after")
            return [*map(repr, (*pair.server.lost, *near.ended, far.ended)), *unhandled]

    assert await outcome(True) == await outcome(False)


@pytest.mark.parametrize("fast", WAYS)
async def test_a_write_beyond_the_window_goes_in_part_and_in_order(fast: bool) -> None:
    async with ssh_pair(fast_client=fast, fast_server=fast) as pair:
        near, far = await pair.channel()
        window = near.channel._send_window
        near.channel.write(BIG)
        near.channel.write(b"behind")
        assert near.channel.get_write_buffer_size() == len(BIG) + 6 - window
        near.channel.write_eof()
        with pytest.raises(BrokenPipeError):
            near.channel.write(b"after the end")
        await until(lambda: bool(far.ended))
        assert bytes(far.received) == BIG + b"behind"


async def test_nothing_is_delivered_after_an_abort() -> None:
    async with ssh_pair(fast_client=True, fast_server=True) as pair:
        near, far = await pair.channel()

        def received(data: bytes, datatype: int | None = None) -> None:
            near.received += data
            pair.server.conn.abort()

        near.data_received = received  # type: ignore[method-assign]
        for _ in range(3):
            far.channel.write(b"x")
        await pair.ended()
        assert near.received == b"x"


@pytest.mark.parametrize("fast", WAYS)
async def test_a_session_may_close_another_channel_whose_packets_are_in_the_same_read(fast: bool) -> None:
    async with ssh_pair(fast_client=True, fast_server=fast) as pair:
        near, far = await pair.channel()
        other, other_far = await pair.channel()
        near.data_received = lambda data, datatype=None: other.channel.close()  # type: ignore[method-assign]
        far.channel.write(b"x")
        other_far.channel.write(b"to nobody")
        await until(lambda: bool(other_far.ended))
        assert not other.received
        third, third_far = await pair.channel()
        third_far.channel.write(b"alive")
        await until(lambda: third.received == b"alive")


async def test_a_transport_that_is_not_uvloop_s_gets_the_same_bytes() -> None:
    async with ssh_pair(fast_client=True, fast_server=True) as pair:
        for end in (pair.client, pair.server):
            assert end.path is not None
            end.path._takes_lines = not end.path._takes_lines
        await random_traffic(pair, 11, 150)


class Untold:
    """A session that must hear nothing."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connection_made(self, channel: ByteChannel) -> None:
        self.told.append("made")

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append("lost")

    def data_received(self, data: bytes) -> None:
        self.told.append("data")

    def eof_received(self) -> None:
        self.told.append("eof")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


@pytest.mark.parametrize("packet_bytes", [1, PACKET_MIN_BYTES - 1, PACKET_MIN_BYTES])
async def test_a_peer_that_takes_packets_of_next_to_nothing_gets_no_channel(packet_bytes: int) -> None:
    async with ssh_pair(fast_client=False, fast_server=True, packet_bytes=packet_bytes) as pair:
        assert isinstance(pair.server.conn, asyncssh.SSHServerConnection)
        session, flow = Untold(), LinkFlow(pair.server.conn, LinkLimits())
        if packet_bytes == PACKET_MIN_BYTES:
            await open_channel(pair.server.conn, flow, session, 1 << 16)
            assert session.told == ["made"]
            return
        with pytest.raises(asyncssh.ChannelOpenError, match="packets of"):
            await open_channel(pair.server.conn, flow, session, 1 << 16)
        await until(lambda: not pair.client.conn._channels)
        assert session.told == []
        assert flow.open_channels == 0


async def test_what_a_tunnel_at_rest_does_not_need_is_let_go() -> None:
    async with ssh_pair(fast_client=True, fast_server=True) as pair:
        near, far = await pair.channel()
        path = pair.server.path
        assert path is not None
        for size in range(1, 2 * KEPT_AFTER):
            far.channel.write(b"x")
            await until(lambda size=size: len(near.received) == size)  # type: ignore[misc]  # a packet each
        seal = pair.server.conn._recv_encryption
        assert isinstance(seal, PacketSeal)
        kept = []
        for _ in range(2):  # there were packets since the last time, and none since then
            path.rest()
            kept.append(seal._aead is not None)
        assert kept == [True, False]
        far.channel.write(b"y")
        await until(lambda: near.received.endswith(b"y"))
        assert not pair.server.conn._client_kexinit + pair.server.conn._server_kexinit
