"""The fault proxy: a process that passes TCP connections on and does to them what it is told. Standard library only.

A *way* is one listener and its target: between agent and server, or between agent and store. ``python -m
tests.faults.proxy`` takes commands as ``ControlLine`` does; everything it does is told with its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace
from itertools import count

from tests.faults.control_line import ControlLine
from tests.faults.proxy_pair import Conditions, Direction, Pair, Side, Stream, Strike

BOTH: tuple[Direction, Direction] = ("up", "down")
RECEIVE_BUFFER_BYTES = 65536  # small, so that a slow way is felt by who sends and not stored here


class Way:
    """One listener; ``conditions`` hold for the connections it has and for those to come."""

    def __init__(self, name: str, target_port: int, control: ControlLine) -> None:
        self.name = name
        self.target_port = target_port
        self.conditions: dict[Direction, Conditions] = {"up": Conditions(), "down": Conditions()}
        self.pairs: dict[int, Pair] = {}
        self._control = control
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._listener.setblocking(False)
        # By its number: a port that was bound as "any" is given back when the listener is shut.
        self._listener.bind(("127.0.0.1", port))
        self.port = port

    def open(self) -> None:
        """Listen."""
        self._listener.listen(256)
        self._accepting = asyncio.create_task(self._accept(), name=f"proxy-{self.name}")

    async def shut(self) -> None:
        """Listen no more: connections are refused, the port stays ours."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None
            self._listener.shutdown(socket.SHUT_RDWR)

    def streams(self, direction: Direction) -> list[Stream]:
        """This direction of every connection."""
        return [pair.up if direction == "up" else pair.down for pair in self.pairs.values()]

    async def close(self) -> None:
        """End everything."""
        await self.shut()
        self._listener.close()
        for pair in tuple(self.pairs.values()):
            pair.end("rst")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(self._listener)
            task = asyncio.create_task(self._pass_on(near), name=f"proxy-{self.name}-connection")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, near: socket.socket) -> None:
        number = next(self._numbers)
        far = socket.socket()
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", self.target_port))
        except OSError:
            far.close()
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            near.close()
            return
        pair = Pair(number, near, far, self.conditions["up"], self.conditions["down"], self._tell)
        self.pairs[number] = pair
        self._tell("opened", connection=number)
        try:
            await pair.run()
        finally:
            del self.pairs[number]

    def _tell(self, event: str, **fields: object) -> None:
        self._control.tell(event, way=self.name, **fields)


class FaultProxy:
    """All ways of one proxy process."""

    def __init__(self) -> None:
        self._ways: dict[str, Way] = {}
        self.control = ControlLine(
            {
                "open": self.open,
                "target": self.target,
                "conditions": self.conditions,
                "strike": self.strike,
                "shut": self.shut,
                "reopen": self.reopen,
                "heal": self.heal,
                "connections": self.connections,
            }
        )

    async def open(self, way: str, target_port: int = 9) -> int:
        """Make a way; its port."""
        made = self._ways[way] = Way(way, target_port, self.control)
        made.open()
        return int(made.port)

    async def target(self, way: str, port: int) -> None:
        """Where connections to come lead."""
        self._ways[way].target_port = port

    async def conditions(self, way: str, directions: tuple[Direction, ...] = BOTH, **values: float) -> None:
        """Set latency, jitter, rate or drip until ``heal``."""
        for direction in directions:
            _assign(self._ways[way].conditions[direction], replace(Conditions(), **values))  # type: ignore[arg-type]  # from JSON

    async def strike(
        self,
        way: str,
        what: str,
        directions: tuple[Direction, ...] = ("up",),
        after_bytes: int = 0,
        marker: str = "",
        side: Side = "near",
        count: int = 1,
    ) -> int:
        """Strike every connection there is: rst, fin, half_open, black_hole, corrupt or truncate (``count`` bytes).

        Now, or after so many more bytes of the direction, or when ``marker`` has passed in it. The answer is how
        many connections are struck.
        """
        found = self._ways[way]
        for direction in directions:
            for stream in found.streams(direction):
                stream.strike(Strike(what, after_bytes, marker.encode(), side, count))
        return len(found.pairs)

    async def shut(self, way: str) -> None:
        """Refuse connections, and reset those there are."""
        await self._ways[way].shut()
        for pair in self._ways[way].pairs.values():
            pair.end("rst")

    async def reopen(self, way: str) -> None:
        """Listen again."""
        self._ways[way].open()

    async def heal(self) -> None:
        """No conditions any more."""
        for way in self._ways.values():
            for conditions in way.conditions.values():
                _assign(conditions, Conditions())

    async def connections(self, way: str) -> int:
        """How many there are."""
        return len(self._ways[way].pairs)

    async def run(self) -> None:
        """Until standard input ends."""
        try:
            await self.control.run()
        finally:
            for way in self._ways.values():
                await way.close()


def _assign(conditions: Conditions, new: Conditions) -> None:
    """In place: the connections there are hold on to the object."""
    vars(conditions).update(vars(new))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(FaultProxy().run())
