"""Tells when this machine's network came back: a cable plugged in, an address or a route that is new (rtnetlink(7)).

Without it an agent that waits for its next attempt after a long outage would sleep on for up to a minute.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

import structlog

SETTLE_S: Final = 1.0  # addresses, routes and name servers come one after the other
PAUSE_S: Final = 30.0  # a network that flaps must not make this machine hammer the server

_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # linux/rtnetlink.h: RTMGRP_LINK, IPV4_IFADDR, _ROUTE, IPV6 the same
_NEWLINK, _NEWADDR, _NEWROUTE = 16, 20, 24
_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr
_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg
_RUNNING: Final = 0x40  # IFF_RUNNING: up, and the cable is in
_READ_BYTES: Final = 65536
_READS_MAX: Final = 100

_log = structlog.get_logger("agent")


class NetworkNews:
    """Reads the kernel's messages. Pure: ``is_news`` says whether one of them means that something came up."""

    def __init__(self) -> None:
        self._running: dict[int, bool] = {}

    def is_news(self, datagram: bytes) -> bool:
        """True for a new address or route, or an interface that runs and did not before."""
        told = [self._tells(kind, body) for kind, body in _messages(datagram)]  # all of them: each may change the state
        return any(told)

    def _tells(self, kind: int, body: bytes) -> bool:
        if kind != _NEWLINK:
            return kind in (_NEWADDR, _NEWROUTE)
        if len(body) < _LINK.size:
            return False
        _, _, index, flags, _ = _LINK.unpack_from(body)
        runs = bool(flags & _RUNNING)
        before = self._running.get(index)
        self._running[index] = runs
        return runs and before is False  # also told of every statistic of an interface: only a change counts


class NetworkWatch:
    """Calls ``on_change`` a moment after the network changed, at most every 30 s; ``close`` ends that.

    Where the kernel or a sandbox does not allow it nothing is watched, which costs nothing but time after an outage.
    """

    def __init__(self, on_change: Callable[[], None], settle_s: float = SETTLE_S, pause_s: float = PAUSE_S) -> None:
        self._on_change = on_change
        self._settle_s = settle_s
        self._pause_s = pause_s
        self._loop = asyncio.get_running_loop()
        self._news = NetworkNews()
        self._told_at = -pause_s
        self._telling: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None

    def __repr__(self) -> str:
        return f"<NetworkWatch {'on' if self._socket is not None else 'off'}>"

    def start(self) -> None:
        """Watch from now on."""
        try:
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        except OSError as error:
            _log.debug("network.not_watched", reason=error.strerror)
            return
        try:
            sock.setblocking(False)
            sock.bind((0, _GROUPS))
        except OSError as error:
            sock.close()
            _log.debug("network.not_watched", reason=error.strerror)
            return
        self._socket = sock
        self._loop.add_reader(sock, self._readable)

    def close(self) -> None:
        """Watch no more."""
        if self._telling is not None:
            self._telling.cancel()
        sock, self._socket = self._socket, None
        if sock is not None:
            self._loop.remove_reader(sock)
            sock.close()

    def _readable(self) -> None:
        sock = self._socket
        news = False
        for _ in range(_READS_MAX):
            try:
                news = (sock is not None and self._news.is_news(sock.recv(_READ_BYTES))) or news
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: more happened than the socket could hold
                news = True
                break
        if news and self._telling is None:
            wait_s = max(self._settle_s, self._told_at + self._pause_s - self._loop.time())
            self._telling = self._loop.call_later(wait_s, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._told_at = self._loop.time()
        _log.info("network.changed")
        self._on_change()


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each message; what is cut short ends it."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, _, _ = _HEADER.unpack_from(datagram, at)
        if length < _HEADER.size or at + length > len(datagram):
            return
        yield kind, datagram[at + _HEADER.size : at + length]
        at += (length + 3) & ~3
