"""The fast path: SSH packets of open channels without asyncssh's cost per packet; everything else is left to asyncssh.

What it does on one connection, once both ends are logged in and while AES-GCM without compression is in force:

- sends packets of the types 90 to 100 (connection protocol, RFC 4254) without the empty MSG_IGNORE that asyncssh puts
  before each, and writes all packets of one turn of the event loop at once;
- receives CHANNEL_DATA and CHANNEL_WINDOW_ADJUST (RFC 4254 5.2) that are beyond doubt straight from the input buffer.

A packet that is anything but plain and genuine (another type, a bad tag, a wrong length, an unknown or closed channel,
a window exceeded) stays in the buffer and asyncssh takes it from there, so that its checks, its errors and its key
exchanges are its own. Three methods are replaced, on the instance: ``send_packet``, ``_recv_pkthdr``,
``create_tcp_channel``. The binary packet protocol is RFC 4253 6, its AES-GCM form RFC 5647 7.

It uses what asyncssh does not promise: hence ``VERIFIED_VERSIONS``, the self-check, and a test suite that runs with it
and without it.
"""

from __future__ import annotations

import functools
import os
import time
from typing import Any, Final

import asyncssh
from asyncssh.channel import SSHTCPChannel
from asyncssh.connection import SSHConnection
from asyncssh.encryption import GCMEncryption, get_encryption

from agent.tunnel.packet_seal import BLOCK_BYTES, LENGTH_BYTES, TAG_BYTES, PacketSeal

VERIFIED_VERSIONS: Final = frozenset({"2.24.1"})
"""Versions of asyncssh whose insides were read and tested; with another one everything goes asyncssh's own way."""

_CHANNEL_FIRST: Final = 90  # RFC 4250 4.1.2
_WINDOW_ADJUST: Final = 93
_DATA: Final = 94
_CHANNEL_LAST: Final = 100
_PADDING_MIN_BYTES: Final = 4  # RFC 4253 6
_JOIN_MAX_BYTES: Final = 16 * 1024  # below, one more copy is cheaper than one more buffer for the kernel

_QUEUE_MAX_BYTES: Final = 32 * 1024  # beyond, the transport must learn of it, so that its back-pressure comes in time

_NEEDED: Final = (
    "_kex_complete _auth_complete _auth_final _compressor _decompressor _send_encryption _recv_encryption _rekey_bytes "
    "_rekey_bytes_sent _rekey_seconds _rekey_time _send_seq _recv_seq _transport _loop _inpbuf _recv_handler "
    "_recv_pkthdr _max_recv_pktlen _channels _update_recv_pktlen"
).split()


class FastPath:
    """The fast path of one connection; ``packets_sent`` and ``packets_received`` went through it."""

    __slots__ = (
        "_conn", "_opening", "_padding", "_queue", "_queued_bytes", "_sealing", "packets_received", "packets_sent",
    )  # a list to be scanned  # fmt: skip

    def __init__(self, conn: SSHConnection) -> None:
        self._conn = conn
        self._sealing: PacketSeal | None = None
        self._opening: PacketSeal | None = None
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        # RFC 4253 6 wants random padding for ciphers that need it; under an AEAD any bytes do, so these are drawn once.
        self._padding = os.urandom(_PADDING_MIN_BYTES + BLOCK_BYTES)
        self.packets_sent = 0
        self.packets_received = 0

    def __repr__(self) -> str:
        return f"<FastPath sent={self.packets_sent} received={self.packets_received} waiting={len(self._queue)}>"

    # -- sending -------------------------------------------------------------------------------------------------

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:  # noqa: ANN401 - asyncssh's logger
        """In place of asyncssh's: one packet, now or in its turn."""
        if _CHANNEL_FIRST <= pkttype <= _CHANNEL_LAST and self.may_send():
            self.put((pkttype.to_bytes(1, "big"), *args))
        else:
            self.flush()  # nothing may overtake: the order of packets is that of their nonces
            SSHConnection.send_packet(self._conn, pkttype, *args, handler=handler)

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

    def put(self, payload: tuple[bytes | memoryview, ...]) -> None:
        """Seal one packet; it is written at the end of this turn of the loop. Only when ``may_send``."""
        conn, sealing, queue = self._conn, self._sealing, self._queue
        size = sum(map(len, payload)) + 1
        padding = -size % BLOCK_BYTES  # the length field is not part of the multiple (RFC 5647 7.2)
        if padding < _PADDING_MIN_BYTES:
            padding += BLOCK_BYTES
        size += padding
        header = size.to_bytes(LENGTH_BYTES, "big")
        sealed = sealing.seal(header, b"".join((padding.to_bytes(1, "big"), *payload, self._padding[:padding])))  # type: ignore[union-attr]  # may_send has set it
        if not queue:
            conn._loop.call_soon(self.flush)
            self._queued_bytes = 0
        if size < _JOIN_MAX_BYTES:
            queue.append(header + sealed)
        else:
            queue.append(header)
            queue.append(sealed)
        self._queued_bytes += size
        if self._queued_bytes > _QUEUE_MAX_BYTES:
            self.flush()
        conn._send_seq = (conn._send_seq + 1) & 0xFFFFFFFF
        conn._rekey_bytes_sent += size
        self.packets_sent += 1

    def flush(self) -> None:
        """Hand what waits to the transport; to nobody, when that is gone."""
        queue = self._queue
        if not queue:
            return
        self._queue = []
        transport = self._conn._transport
        if transport is not None:
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
                return SSHConnection._recv_pkthdr(conn)
            opening = conn._recv_encryption = self._opening = PacketSeal(opening)
        if conn._decompressor is not None:
            return SSHConnection._recv_pkthdr(conn)
        data = conn._inpbuf
        at, end, size_max = 0, len(data), conn._max_recv_pktlen
        try:
            while end - at > LENGTH_BYTES:
                size = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
                behind = at + LENGTH_BYTES + size + TAG_BYTES
                if behind > end and size <= size_max:
                    return False
                packet = opening.peek(data, at, behind) if size <= size_max else None
                if packet is None or not self._is_plain(packet):
                    break
                opening.taken()
                at = behind
                conn._recv_seq = (conn._recv_seq + 1) & 0xFFFFFFFF
                conn._auth_final = True
                self.packets_received += 1
                channel = conn._channels[int.from_bytes(packet[2:6], "big")]
                if packet[1] == _DATA:
                    channel._accept_data(packet[10 : -packet[0]])
                else:
                    channel._send_window += int.from_bytes(packet[6:10], "big")
                    channel._flush_send_buf()
                if conn._transport is not transport:  # ended by what was called
                    return False
            else:
                return False
        finally:
            conn._inpbuf = data[at:]
        return SSHConnection._recv_pkthdr(conn)

    def _is_plain(self, packet: bytes) -> bool:
        """True when asyncssh would take the packet without a word, and it is one of the two kinds."""
        kind, padding = packet[1], packet[0]
        if kind not in (_DATA, _WINDOW_ADJUST) or padding < _PADDING_MIN_BYTES or len(packet) < 10 + padding:
            return False
        channel = self._conn._channels.get(int.from_bytes(packet[2:6], "big"))
        if channel is None or channel._recv_state != "open":
            return False
        if kind == _WINDOW_ADJUST:
            return len(packet) == 10 + padding
        size = int.from_bytes(packet[6:10], "big")
        return len(packet) == 10 + size + padding and 0 < size <= channel._recv_window

    # -- channels ------------------------------------------------------------------------------------------------

    def create_tcp_channel(
        self, encoding: str | None = None, errors: str = "strict", window: int = 2 << 20, max_pktsize: int = 32768
    ) -> FastChannel:
        """In place of asyncssh's: a channel that writes through here."""
        conn = self._conn
        conn._update_recv_pktlen(max_pktsize)
        channel = FastChannel(conn, conn._loop, encoding, errors, window, max_pktsize)
        channel.path = self
        return channel


class FastChannel(SSHTCPChannel[bytes]):
    """A channel whose data goes straight into packets while the peer's window has room for all of it."""

    path: FastPath

    def write(self, data: bytes, datatype: int | None = None) -> None:
        """As asyncssh's, which does it where something waits already, or must."""
        size, path = len(data), self.path
        if (
            datatype is not None
            or self._send_state != "open"
            or self._send_buf
            or self._encoding is not None
            or not 0 < size <= self._send_window
            or not path.may_send()
        ):
            super().write(data, datatype)
            return
        self._send_window -= size
        recipient = self._send_chan.to_bytes(4, "big")  # type: ignore[union-attr]  # an open channel has a number
        piece_max = self._send_pktsize
        if size <= piece_max:
            path.put((b"\x5e" + recipient + size.to_bytes(4, "big"), data))
            return
        view = memoryview(data)
        for start in range(0, size, piece_max):
            piece = view[start : start + piece_max]
            path.put((b"\x5e" + recipient + len(piece).to_bytes(4, "big"), piece))


def install(conn: SSHConnection) -> FastPath | None:
    """Put the fast path on ``conn``; None when it must stay as it is: see ``why_not``.

    To be called when the login is complete, on either end; the other one need not have it.
    """
    if why_not() or not all(hasattr(conn, name) for name in _NEEDED):
        return None
    path = FastPath(conn)
    conn.send_packet = path.send_packet  # type: ignore[method-assign]
    conn._recv_pkthdr = path.receive  # type: ignore[method-assign]
    conn.create_tcp_channel = path.create_tcp_channel  # type: ignore[method-assign]
    return path


@functools.cache
def why_not() -> str:
    """Why this process cannot have a fast path; "" when it can. Looked at once."""
    if asyncssh.__version__ not in VERIFIED_VERSIONS:
        return f"asyncssh {asyncssh.__version__} was not verified with it, but {', '.join(sorted(VERIFIED_VERSIONS))}"
    try:
        return (
            ""
            if all(
                _agrees(name, size) for name, size in ((b"aes128-gcm@openssh.com", 16), (b"aes256-gcm@openssh.com", 32))
            )
            else "its packets differ from those of asyncssh"
        )
    except Exception as error:  # noqa: BLE001 - whatever a changed library raises, there is another way
        return f"its self-check failed ({type(error).__name__})"


def _agrees(cipher: bytes, key_bytes: int) -> bool:
    """Do asyncssh's packets and ours come out the same, bit for bit, and open each other's, counters included?"""
    key, iv = os.urandom(key_bytes), os.urandom(4) + b"\xff" * 8  # the counter wraps at once
    theirs, ours = (get_encryption(cipher, key, iv) for _ in range(2))
    if not isinstance(ours, GCMEncryption):
        return False
    seal = PacketSeal(ours)
    opened = PacketSeal(get_encryption(cipher, key, iv))  # type: ignore[arg-type]
    for number in range(3):
        packet, header = os.urandom(32), (32).to_bytes(LENGTH_BYTES, "big")
        stock = b"".join(theirs.encrypt_packet(number, header, packet))
        if stock != header + seal.seal(header, packet) or opened.peek(stock, 0, len(stock)) != packet:
            return False
        opened.taken()
    return True
