"""Those who wait at the door until there is a place: sources take turns. Pure: standard library only."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Visitor = TypeVar("Visitor")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Visitor]):
    """One that waits; ``since_s`` is monotonic seconds."""

    source: str
    visitor: Visitor
    since_s: float


class WaitingLine(Generic[Visitor]):
    """First come, first served within a source; between sources one each in turn.

    So a crowd behind one address waits for itself and not for the others, nor they for it. At most ``total_max``
    wait, of one source ``per_source_max``.
    """

    def __init__(self, total_max: int, per_source_max: int) -> None:
        self._total_max = total_max
        self._per_source_max = per_source_max
        self._by_source: OrderedDict[str, deque[Waiting[Visitor]]] = OrderedDict()  # whose turn it is: the first
        self._total = 0

    def __repr__(self) -> str:
        return f"<WaitingLine waiting={self._total} sources={len(self._by_source)}>"

    def __len__(self) -> int:
        return self._total

    def join(self, source: str, visitor: Visitor, now_s: float) -> bool:
        """Stand at the end; False when there is no room."""
        queue = self._by_source.get(source)
        if self._total >= self._total_max or (queue is not None and len(queue) >= self._per_source_max):
            return False
        if queue is None:
            queue = self._by_source[source] = deque()
        queue.append(Waiting(source, visitor, now_s))
        self._total += 1
        return True

    def make_room(self, source: str) -> Waiting[Visitor] | None:
        """Take out the last one of the longest queue, where one more of ``source`` would still be fewer; else None."""
        if self._total < self._total_max or not self._by_source:
            return None
        longest = max(self._by_source, key=lambda name: len(self._by_source[name]))
        queue = self._by_source[longest]
        if len(queue) <= len(self._by_source.get(source, ())) + 1:
            return None
        last = queue.pop()
        self._removed_one(longest, queue)
        return last

    def give_up(self, source: str, visitor: Visitor) -> bool:
        """This one waits no more; False when it did not wait."""
        queue = self._by_source.get(source, deque())
        for waiting in queue:
            if waiting.visitor is visitor:
                queue.remove(waiting)
                self._removed_one(source, queue)
                return True
        return False

    def next(self, may_enter: Callable[[str], bool]) -> Waiting[Visitor] | None:
        """Take out whose turn it is among the sources that ``may_enter``; that source then comes last."""
        for source, queue in self._by_source.items():
            if may_enter(source):
                first = queue.popleft()
                self._by_source.move_to_end(source)
                self._removed_one(source, queue)
                return first
        return None

    def _removed_one(self, source: str, queue: deque[Waiting[Visitor]]) -> None:
        self._total -= 1
        if not queue:
            del self._by_source[source]
