"""Those that wait for a channel of one tunnel, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a future's type is of no use at run time
    from agent.server.channels import UpstreamChannel


class ChannelQueue(deque["asyncio.Future[UpstreamChannel]"]):
    """A deque of futures, so that the hot path asks in C whether anybody waits.

    One whose task was cancelled stays until that task runs, and is passed over.
    """

    def hand_over(self, channel: UpstreamChannel) -> bool:
        """Give ``channel`` to who waits longest; False when nobody does."""
        while self:
            waiter = self.popleft()
            if not waiter.done():
                waiter.set_result(channel)
                return True
        return False

    def refuse(self, error: Exception) -> None:
        """Tell who waits longest that there is no channel."""
        waiter = self.popleft()
        if not waiter.done():
            waiter.set_exception(error)

    def leave(self, waiter: asyncio.Future[UpstreamChannel]) -> UpstreamChannel | None:
        """``waiter`` waits no more; the channel that it was given all the same, by who did not know that yet."""
        if waiter in self:
            self.remove(waiter)
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            return None
        return waiter.result()
