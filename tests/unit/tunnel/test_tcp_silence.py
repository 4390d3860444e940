"""What the kernel knows about the other end of a connection; real sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from agent.tunnel.tcp_silence import tcp_silence_s, unacknowledged_bytes


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as near:
        far, _ = listening.accept()
        with far:
            yield near, far


def pause() -> None:
    time.sleep(0.5)  # it is the time that is measured


def test_silence_grows_and_ends_with_an_acknowledgement(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    pause()
    assert 0.45 <= tcp_silence_s(near) < 10
    near.sendall(b"x")  # nobody reads it: the kernel alone answers
    assert tcp_silence_s(near) < 0.3
    assert tcp_silence_s(far) < 0.3


def test_data_that_acknowledges_nothing_new_is_heard_too(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    far.sendall(b"x")
    pause()
    far.sendall(b"x")
    far.sendall(b"x")
    assert tcp_silence_s(near) < 0.3


def test_a_keepalive_probe_is_answered_by_a_kernel_whose_process_is_busy(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, _ = pair
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 9)):
        near.setsockopt(socket.IPPROTO_TCP, option, value)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    silence = highest = 0.0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and silence >= highest - 0.5:
        silence = tcp_silence_s(near)
        highest = max(highest, silence)
        time.sleep(0.02)
    assert highest > 0.9
    assert silence < 0.5, "the answer to the probe was heard"


def test_what_is_no_tcp_or_closed_is_not_called_silent(pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    one, two = socket.socketpair()
    with one, two:
        assert tcp_silence_s(one) == 0.0
    assert tcp_silence_s(None) == 0.0
    near.close()
    assert tcp_silence_s(near) == 0.0


def test_bytes_that_the_other_end_does_not_take_are_counted(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    near.setblocking(False)
    assert unacknowledged_bytes(near) == 0
    sent = 0
    while unacknowledged_bytes(near) == 0:  # into a receive buffer that nobody empties
        sent += near.send(b"x" * 65536)
    assert 0 < unacknowledged_bytes(near) <= sent
    far.close()
    near.close()
    assert unacknowledged_bytes(near) == 0
    assert unacknowledged_bytes(None) == 0
