"""Large pieces of one turn go out together, in order, and not without bound."""

from __future__ import annotations

import asyncio

from agent.joined_writes import JoinedWrites, takes_lines

KIB = 1 << 10


class Socket(asyncio.Transport):
    """Notes each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[bytes]] = []
        self.closing = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.calls.append([data])

    def writelines(self, pieces: list[bytes]) -> None:  # type: ignore[override]
        self.calls.append(pieces)

    def is_closing(self) -> bool:
        return self.closing


class UvloopSocket(Socket):
    __module__ = "uvloop.loop"


async def test_large_pieces_of_one_turn_are_one_call() -> None:
    socket = UvloopSocket()
    out = JoinedWrites(socket)
    pieces = [b"head", b"a" * 64 * KIB, b"b" * 64 * KIB, b"tail"]
    for piece in pieces:
        out.write(piece)
    assert socket.calls == [[b"head"]]  # what is small does not wait, unless it must not overtake
    await asyncio.sleep(0)
    assert socket.calls == [[b"head"], pieces[1:]]
    out.write(b"next")
    assert socket.calls[2:] == [[b"next"]]


async def test_what_waits_is_bounded_so_that_the_socket_can_say_that_it_is_full() -> None:
    socket = UvloopSocket()
    out = JoinedWrites(socket)
    for _ in range(5):
        out.write(b"x" * 64 * KIB)
    assert [len(call) for call in socket.calls] == [4]
    await asyncio.sleep(0)
    assert [len(call) for call in socket.calls] == [4, 1]


async def test_nothing_is_written_to_a_socket_that_closes() -> None:
    socket = UvloopSocket()
    out = JoinedWrites(socket)
    out.write(b"x" * 64 * KIB)
    socket.closing = True
    await asyncio.sleep(0)
    assert not socket.calls


async def test_where_writelines_would_copy_or_forget_nothing_waits() -> None:
    socket = Socket()
    JoinedWrites(socket).write(b"x" * 64 * KIB)
    assert len(socket.calls) == 1
    assert [takes_lines(each) for each in (socket, UvloopSocket(), None)] == [False, True, False]
