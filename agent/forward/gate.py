"""What may hold back a request that the policy allows: a pause by the shop's administrator, a limit of its settings.

An open gate without a limit costs one look at an attribute per exchange.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from agent.errors import ConnectionBusy, ExchangeError, PolicyDenied
from agent.pause import Pause
from agent.rate_limit import TokenBucket


class StorePaused(PolicyDenied):
    """The shop's administrator paused the store; to the caller a ``policy_denied`` with words of its own."""

    summary = "The store is paused; nothing more is sent to it."
    remedy = "Nobody else can end that: `prestashop-agent resume` on the shop's machine does."


class StoreLimited(ConnectionBusy):
    """The store's settings let no more requests a minute through; to the caller a ``connection_busy``."""

    summary = "The store's share of requests for this minute is used up; nothing was sent to the store."
    remedy = "Send fewer a minute, or raise max_requests_per_minute under the store in the settings of the agent."


class StoreGate:
    """One store's gate; it outlives reloads of the settings.

    ``refuse`` is None while nothing can be held back; else it gives the error to answer with, or None. ``on_limited``
    is told of each request over the limit, which ``limited_count`` counts since the start.
    """

    __slots__ = ("_bucket", "_on_limited", "_pause", "limited_count", "refuse")

    def __init__(self, on_limited: Callable[[], None] | None = None) -> None:
        self.refuse: Callable[[], ExchangeError | None] | None = None
        self.limited_count = 0
        self._pause: Pause | None = None
        self._bucket: TokenBucket | None = None
        self._on_limited = on_limited

    def __repr__(self) -> str:
        return f"<StoreGate {'paused' if self._pause else 'open'} {self._bucket or 'without limit'}>"

    @property
    def pause(self) -> Pause | None:
        """The pause that closes it."""
        return self._pause

    @property
    def per_minute(self) -> int | None:
        """The requests that pass in a minute; None: without limit."""
        return self._bucket.per_minute if self._bucket is not None else None

    def set_pause(self, pause: Pause | None) -> None:
        """Close or open it, for the exchanges that begin from now on."""
        self._pause = pause
        self._choose()

    def limit(self, per_minute: int | None, clock: Callable[[], float]) -> None:
        """Let so many a minute through. The same limit again changes nothing, so that a reload gives no new burst."""
        if per_minute != self.per_minute:
            self._bucket = TokenBucket(per_minute, clock) if per_minute is not None else None
            self._choose()

    def _choose(self) -> None:
        self.refuse = None if self._pause is None and self._bucket is None else self._judge

    def _judge(self) -> ExchangeError | None:
        if self._pause is not None:
            return StorePaused(self._pause.sentence)
        wait_s = self._bucket.take() if self._bucket is not None else 0.0
        if not wait_s:
            return None
        self.limited_count += 1
        if self._on_limited is not None:
            self._on_limited()
        return StoreLimited(
            f"The agent's settings let {self.per_minute} requests a minute through to it.",
            retry_after_s=math.ceil(wait_s),
        )
