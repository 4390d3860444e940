"""For how long the other end's kernel has said nothing: what a black hole looks like while its process is busy.

Keepalive probes and TCP_USER_TIMEOUT (RFC 5482) alone are not enough. The kernel probes only while nothing waits to
be acknowledged, and counts the user time-out from the byte that waits: a heartbeat written 9.9 s into a black hole
stops the probes and begins a new 10 s, so that the end came after 20.4 s instead of 10 (measured, Linux 6.18).
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import Final

# linux/tcp.h, struct tcp_info: eight bytes, twelve 32-bit numbers, then last_data_recv and last_ack_recv, in ms
_TCP_INFO: Final = getattr(socket, "TCP_INFO", 11)
_OFFSET: Final = 8 + 11 * 4
_LAST_RECEIVED: Final = struct.Struct("=II")
_INT: Final = struct.Struct("=i")


def tcp_silence_s(sock: socket.socket | None) -> float:
    """Seconds since anything of the other end's kernel arrived; 0 where that is unknown (no TCP, closed).

    A kernel answers keepalive probes while its process sleeps, so this is about the network alone. Both numbers are
    needed: data that acknowledges nothing new leaves ``last_ack_recv`` as it was.
    """
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0.0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _OFFSET + _LAST_RECEIVED.size)
    except OSError:
        return 0.0
    if len(info) < _OFFSET + _LAST_RECEIVED.size:
        return 0.0
    last_data_ms, last_ack_ms = _LAST_RECEIVED.unpack_from(info, _OFFSET)
    return float(min(last_data_ms, last_ack_ms)) / 1000


def unacknowledged_bytes(sock: socket.socket | None) -> int:
    """Bytes in the kernel that the other end's has not acknowledged (SIOCOUTQ, tcp(7)); 0 where that is unknown."""
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0
    try:
        return _INT.unpack(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))[0]  # type: ignore[no-any-return]  # struct knows no types
    except (OSError, ValueError):  # ValueError: closed, its number is -1
        return 0
