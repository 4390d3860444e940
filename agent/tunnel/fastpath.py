"""The fast path: SSH packets of open channels without asyncssh's cost per packet; everything else is left to asyncssh.

What it does on one connection, once both ends are logged in and while AES-GCM without compression is in force:

- sends packets of the types 90 to 100 (connection protocol, RFC 4254) without the empty MSG_IGNORE that asyncssh puts
  before each (against attacks on CBC, which AES-GCM does not have), and writes all packets of one turn of the event
  loop at once;
- receives CHANNEL_DATA and CHANNEL_WINDOW_ADJUST (RFC 4254 5.2) that are beyond doubt straight from the input buffer.

A packet that is anything but plain and genuine (another type, a bad tag, a wrong length, an unknown or closed channel,
a window exceeded) stays in the buffer and asyncssh takes it from there, so that its checks, its errors and its key
exchanges are its own. Four methods are replaced, on the instance: ``send_packet``, ``_send``, ``_recv_pkthdr``,
``create_tcp_channel``; and the transport's protocol, see ``fast_reader``. The binary packet protocol is RFC 4253 6, its
AES-GCM form RFC 5647 7.

Three differences remain: these packets are not in asyncssh's debug log; what was written in the same turn of the loop
before an abort is dropped for certain; and after an abort or a disconnect nothing that came before is delivered.

It uses what asyncssh does not promise: hence ``fastpath_check``, and a test suite that runs with it and without it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from typing import Any, Final

from asyncssh.channel import SSHChannel
from asyncssh.connection import SSHConnection
from asyncssh.encryption import GCMEncryption
from asyncssh.misc import ProtocolError
from asyncssh.packet import PacketDecodeError

from agent.joined_writes import takes_lines
from agent.tunnel.fast_channel import FastChannel
from agent.tunnel.fast_reader import FastReader
from agent.tunnel.fastpath_check import obstacle
from agent.tunnel.packet_seal import BLOCK_BYTES, LENGTH_BYTES, TAG_BYTES, PacketSeal
from agent.tunnel.window import PROCESS_BUDGET, ROUND_TRIP_MAX_S, WINDOWS_MAX_BYTES, WindowBudget

_CHANNEL_FIRST: Final = 90  # RFC 4250 4.1.2
_WINDOW_ADJUST: Final = 93
_DATA: Final = 94
_CHANNEL_LAST: Final = 100
_PADDING_MIN_BYTES: Final = 4  # RFC 4253 6
_HEAD_BYTES: Final = 10  # length of the padding, type, channel, and a number

_HEAD: Final = struct.Struct(">BBII")
_RANDOM: Final = os.urandom(_PADDING_MIN_BYTES + BLOCK_BYTES)
# RFC 4253 6 wants random padding for ciphers that need it; under an AEAD any bytes do, so these are drawn once.
_PADDINGS: Final = tuple(_RANDOM[:size] for size in range(len(_RANDOM)))
_DATA_BEGINS: Final = tuple(bytes((padding, _DATA)) for padding in range(_PADDING_MIN_BYTES + BLOCK_BYTES))
# By what stands before it, modulo the block: the length field is not part of the multiple (RFC 5647 7.2).
_PADDING_BYTES: Final = tuple(
    (-size - _PADDING_MIN_BYTES) % BLOCK_BYTES + _PADDING_MIN_BYTES for size in range(BLOCK_BYTES)
)

_QUEUE_MAX_BYTES: Final = 32 * 1024  # beyond, the transport must learn of it, so that its back-pressure comes in time
_JOIN_MAX_BYTES: Final = 64 * 1024  # below, one more copy is cheaper than more buffers for the kernel


class FastPath:
    """The fast path of one connection; ``packets_sent`` and ``packets_received`` went through it."""

    __slots__ = (
        "_conn", "_opening", "_queue", "_queued_bytes", "_sealing", "_seen_packets", "_takes_lines",
        "_windows", "budget",
        "packets_received", "packets_sent", "round_trip_s",
    )  # a list to be scanned  # fmt: skip

    def __init__(self, conn: SSHConnection, budget: WindowBudget = PROCESS_BUDGET) -> None:
        self._conn = conn
        self.budget = budget
        self._windows = WindowBudget(WINDOWS_MAX_BYTES)
        self._sealing: PacketSeal | None = None
        self._opening: PacketSeal | None = None
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._takes_lines = takes_lines(conn._transport)
        self._seen_packets = 0
        self.round_trip_s = 0.0
        self.packets_sent = 0
        self.packets_received = 0

    def __repr__(self) -> str:
        return f"<FastPath sent={self.packets_sent} received={self.packets_received} waiting={len(self._queue)}>"

    # -- sending -------------------------------------------------------------------------------------------------

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:  # noqa: ANN401 - asyncssh's logger
        """In place of asyncssh's: one packet, now or in its turn."""
        if _CHANNEL_FIRST <= pkttype <= _CHANNEL_LAST and self.may_send():
            self.put(pkttype.to_bytes(1, "big"), *args)
            self.settle()
        else:
            SSHConnection.send_packet(self._conn, pkttype, *args, handler=handler)

    def send_sealed(self, data: bytes) -> None:
        """In place of asyncssh's ``_send``: what it sealed goes behind what waits. The order is that of the nonces."""
        self._queue.append(data)
        self._queued_bytes += len(data)
        self.flush()

    def may_send(self) -> bool:
        """True when the next packet may be sealed here: keys are settled, and no re-key is due (RFC 4253 9)."""
        conn = self._conn
        sealing = conn._send_encryption
        if sealing is not self._sealing or sealing is None:
            if type(sealing) is not GCMEncryption:
                return False
            conn._send_encryption = self._sealing = PacketSeal(sealing)
        return (
            conn._kex_complete
            and conn._auth_complete
            and conn._compressor is None
            and conn._rekey_bytes_sent < conn._rekey_bytes
            and (not conn._rekey_seconds or time.monotonic() < conn._rekey_time)
        )

    def put(self, *payload: bytes | memoryview) -> None:
        """Seal one packet; it is written at the end of this turn of the loop. Only when ``may_send``; calls nobody."""
        padding = _PADDING_BYTES[(sum(map(len, payload)) + 1) % BLOCK_BYTES]
        self._seal(b"".join((padding.to_bytes(1, "big"), *payload, _PADDINGS[padding])))

    def put_data(self, number: bytes, data: bytes | memoryview) -> None:
        """The same, for CHANNEL_DATA to the channel which the other end knows by that number (RFC 4254 5.2)."""
        size = len(data)
        padding = _PADDING_BYTES[(size + _HEAD_BYTES) % BLOCK_BYTES]
        parts = (_DATA_BEGINS[padding], number, size.to_bytes(4, "big"), data, _PADDINGS[padding])
        self._seal(b"".join(parts))

    def _seal(self, packet: bytes) -> None:
        conn, queue = self._conn, self._queue
        size = len(packet)
        header = size.to_bytes(LENGTH_BYTES, "big")
        if not queue:
            conn._loop.call_soon(self.flush)
        sealed = self._sealing.seal(header, packet)  # type: ignore[union-attr]  # may_send has set it
        if size < _JOIN_MAX_BYTES:
            queue.append(header + sealed)
        else:
            queue += (header, sealed)
        self._queued_bytes += size
        conn._send_seq = (conn._send_seq + 1) & 0xFFFFFFFF
        conn._rekey_bytes_sent += size
        self.packets_sent += 1

    def settle(self) -> None:
        """Flush when much waits. The transport may then say that it is full, and whoever hears of it may send."""
        if self._queued_bytes > _QUEUE_MAX_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what waits to the transport; to nobody, when that is gone.

        In one call: the transport may call back before it returns, and what is sent then must come behind all of it.
        """
        queue, size = self._queue, self._queued_bytes
        if not queue:
            return
        self._queue, self._queued_bytes = [], 0
        transport = self._conn._transport
        if transport is None:
            return
        with contextlib.suppress(ConnectionError):  # as asyncssh does
            if len(queue) == 1:
                transport.write(queue[0])
            elif size <= _JOIN_MAX_BYTES or not self._takes_lines:
                transport.write(b"".join(queue))
            else:
                transport.writelines(queue)

    # -- receiving -----------------------------------------------------------------------------------------------

    def receive(self) -> bool:
        """In place of asyncssh's reader of a packet's head: take what is plain, then leave the next one to asyncssh.

        False when more bytes must come first. asyncssh's own loop calls it and handles what it raises.
        """
        conn = self._conn
        transport = conn._transport
        if transport is None:
            return False
        opening = conn._recv_encryption
        if opening is not self._opening or opening is None:
            if type(opening) is not GCMEncryption:
                return self._leave()
            opening = conn._recv_encryption = self._opening = PacketSeal(opening)
        if conn._decompressor is not None:
            return self._leave()
        data = conn._inpbuf
        view = memoryview(data)
        at, end, size_max = 0, len(data), conn._max_recv_pktlen
        try:
            while end - at > LENGTH_BYTES:
                body = at + LENGTH_BYTES
                header = data[at:body]
                size = int.from_bytes(header, "big")
                behind = body + size + TAG_BYTES
                if behind > end and size <= size_max:
                    return False
                packet = opening.peek(header, view[body:behind]) if size <= size_max else None
                channel = self._channel_of(packet) if packet is not None else None
                if packet is None or channel is None:
                    break
                opening.taken()
                at = behind
                conn._recv_seq = (conn._recv_seq + 1) & 0xFFFFFFFF
                conn._auth_final = True
                self.packets_received += 1
                if packet[1] == _DATA:
                    channel._accept_data(packet[_HEAD_BYTES : -packet[0]])
                else:
                    channel._send_window += int.from_bytes(packet[6:_HEAD_BYTES], "big")
                    channel._flush_send_buf()
                if conn._transport is not transport:  # ended by what was called
                    return False
            else:
                return False
        except PacketDecodeError as error:  # as asyncssh does
            raise ProtocolError(str(error)) from None
        finally:
            conn._inpbuf = data[at:]
        return self._leave()

    def _leave(self) -> bool:
        """What is here goes asyncssh's own way, which takes bytes and not a view of ``FastReader``."""
        self._conn._inpbuf = bytes(self._conn._inpbuf)
        return SSHConnection._recv_pkthdr(self._conn)

    def _channel_of(self, packet: bytes) -> SSHChannel[Any] | None:
        """The channel of one of the two kinds of packets that asyncssh would take without a word; None: its own way."""
        if len(packet) < _HEAD_BYTES + _PADDING_MIN_BYTES:
            return None
        padding, kind, number, size = _HEAD.unpack_from(packet)
        behind = len(packet) - padding
        if kind not in (_DATA, _WINDOW_ADJUST) or padding < _PADDING_MIN_BYTES or behind < _HEAD_BYTES:
            return None
        channel = self._conn._channels.get(number)
        if channel is None or channel._recv_state != "open":
            return None
        if kind == _WINDOW_ADJUST:
            return channel if behind == _HEAD_BYTES else None
        return channel if behind == _HEAD_BYTES + size and 0 < size <= channel._recv_window else None

    def rest(self) -> None:
        """Asked now and then: without a packet since the last time, what the next one can make anew is let go."""
        before, self._seen_packets = self._seen_packets, self.packets_sent + self.packets_received
        for seal in (self._sealing, self._opening) if self._seen_packets == before else ():
            if seal is not None:
                seal.rest()

    # -- channels ------------------------------------------------------------------------------------------------

    def create_tcp_channel(
        self, encoding: str | None = None, errors: str = "strict", window: int = 2 << 20, max_pktsize: int = 32768
    ) -> FastChannel:
        """In place of asyncssh's: a channel that writes through here."""
        self._conn._update_recv_pktlen(max_pktsize)
        return FastChannel(self._conn, self._conn._loop, encoding, errors, window, max_pktsize, self)

    def measured(self, round_trip_s: float) -> None:
        """A round trip through this connection took so long; the shortest counts, for others waited behind data."""
        if round_trip_s > 0:
            is_first = not self.round_trip_s
            self.round_trip_s = min(self.round_trip_s or ROUND_TRIP_MAX_S, round_trip_s)
            for channel in self._conn._channels.values() if is_first else ():
                if isinstance(channel, FastChannel):
                    channel.line_measured()

    def window_room_bytes(self, *, to_start: bool = False) -> int:
        """By how much a window may still grow, for this connection's sake and for the process's."""
        budgets = (self._windows, self.budget)
        return max(min(each.start_room_bytes if to_start else each.room_bytes for each in budgets), 0)

    def take_window_bytes(self, size: int) -> None:
        """A window has grown by so much; less than 0: it has shrunk."""
        self._windows.taken_bytes += size
        self.budget.taken_bytes += size


def install(conn: SSHConnection) -> FastPath | None:
    """Put the fast path on ``conn``; None when it must stay as it is: see ``fastpath_check.obstacle``.

    To be called when the login is complete, on either end; the other one need not have it.
    """
    if obstacle(conn):
        return None
    path = FastPath(conn)
    if conn._kex_complete:  # they were signed; the next exchange of keys has its own, and these take 2 kB
        conn._client_kexinit = conn._server_kexinit = b""
    conn.send_packet = path.send_packet  # type: ignore[method-assign]
    conn._send = path.send_sealed  # type: ignore[method-assign]
    conn._recv_pkthdr = path.receive  # type: ignore[method-assign]
    conn.create_tcp_channel = path.create_tcp_channel  # type: ignore[method-assign]
    if conn._transport is not None:
        conn._transport.set_protocol(FastReader(conn, path.receive))
    return path
