"""The control channel: framing, limits and asyncssh's callbacks, shared by both ends, and the agent's session.

Whatever is wrong with what the peer sends ends in one call of ``on_broken`` with a sentence; nothing is raised into
asyncssh, which would close the whole connection without a reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import asyncssh
import structlog

from agent.tunnel.messages import LINE_MAX_BYTES, ControlError, Message, decode

log = structlog.get_logger("agent")

MESSAGES_BURST: Final = 500
MESSAGES_PER_S: Final = 20.0
CLOSE_GRACE_S: Final = 0.2


class ControlChannel(Protocol):
    """The channel under a control stream, as far as it is used."""

    def write(self, data: bytes) -> None:
        """Send bytes; ``OSError`` when the channel is closed."""


class ControlStream:
    """Lines in, messages out. ``on_message`` may call ``send`` and ``close``; ``on_broken`` is called once at most."""

    def __init__(
        self,
        on_message: Callable[[Message], None],
        on_broken: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_message = on_message
        self._on_broken = on_broken
        self._clock = clock
        self._channel: ControlChannel | None = None
        self._buffer = bytearray()
        self._deaf = False  # reads no more; a last word can still be said
        self._closed = False
        self._allowance = float(MESSAGES_BURST)
        self._counted_at = clock()

    def __repr__(self) -> str:
        return f"<ControlStream {'deaf' if self._deaf else 'open'} buffered={len(self._buffer)}>"

    @property
    def is_deaf(self) -> bool:
        """True after ``close``, or after the peer broke the protocol: nothing more is read."""
        return self._deaf

    def attach(self, channel: ControlChannel) -> None:
        """The SSH channel is open."""
        self._channel = channel

    def feed(self, data: bytes) -> None:
        """Bytes from the peer, cut anywhere."""
        if self._deaf:
            return
        searched = len(self._buffer)
        self._buffer += data
        while not self._deaf:
            end = self._buffer.find(b"\n", searched)
            if max(end, 0) >= LINE_MAX_BYTES or (end < 0 and len(self._buffer) >= LINE_MAX_BYTES):
                self.fail(f"A control message is over {LINE_MAX_BYTES} bytes.")
            elif end < 0:
                return
            else:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                searched = 0
                self._line(line)

    def send(self, message: Message) -> bool:
        """Write a message; False when the channel is closed. Raises ``ControlError`` when it is over the limit."""
        line = message.encode()
        if self._closed or self._channel is None:
            return False
        try:
            self._channel.write(line)
        except OSError:  # the channel closed in this loop turn; its owner will hear of it
            return False
        return True

    def fail(self, sentence: str) -> None:
        """The peer broke the protocol: tell the owner once, read nothing more. The owner may still say bye."""
        if not self._deaf:
            self._deaf = True
            self._buffer.clear()
            self._on_broken(sentence)

    def close(self) -> None:
        """Read and write nothing more."""
        self._deaf = self._closed = True
        self._buffer.clear()

    def _line(self, line: bytes) -> None:
        if not self._may_receive():
            self.fail("The control channel is flooded with messages.")
            return
        try:
            message = decode(line)
            if message is not None:
                self._on_message(message)
        except ControlError as error:
            self.fail(str(error))
        except Exception as error:  # a defect of ours; raised into asyncssh it would close the link without a word
            log.exception("control.failed", error=type(error).__name__)
            self.fail("This side failed at a control message.")

    def _may_receive(self) -> bool:
        now = self._clock()
        self._allowance = min(MESSAGES_BURST, self._allowance + (now - self._counted_at) * MESSAGES_PER_S)
        self._counted_at = now
        self._allowance -= 1
        return self._allowance >= 0


class ControlCallbacks:
    """asyncssh's callbacks of a control channel, for either side's session class."""

    def __init__(self, stream: ControlStream) -> None:
        self.stream = stream

    def connection_made(self, chan: ControlChannel) -> None:
        """The channel is open."""
        self.stream.attach(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Bytes of the stream; what comes on another stream (stderr) is nobody's."""
        if datatype is None:
            self.stream.feed(data)

    def eof_received(self) -> bool:
        """The peer writes no more here; the channel stays open, an end of the link is told by the link."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncssh's signature
        """The channel is gone: so is the tunnel, since nothing could be agreed on any more.

        Said a moment later: when the whole connection ends asyncssh closes its channels first, and the connection's
        end has the better reason.
        """
        if not self.stream.is_deaf:
            asyncio.get_running_loop().call_later(CLOSE_GRACE_S, self.stream.fail, "The control channel was closed.")

    def pause_writing(self) -> None:
        """64 KiB of our messages wait: a peer that asks and never reads the answers."""
        self.stream.fail("The control channel is not read by the other side.")

    def resume_writing(self) -> None:
        """Nothing to resume: see ``pause_writing``."""


class AgentControl(ControlCallbacks, asyncssh.SSHClientSession[bytes]):
    """The agent's end of the control channel."""
