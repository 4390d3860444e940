"""What one call of the webservice carries while it is worked on, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.demo.store.access import ShopContext
from agent.demo.store.config import StoreConfig
from agent.demo.store.database import Database
from agent.demo.store.php import Upload, Vars
from agent.demo.store.schema import Resource


@dataclass(slots=True)
class Content:
    """Status and body of a result. ``body`` None means no output at all, not even a content type.

    ``sha1_of``: what an error answer's Content-Sha1 is of. ``crashed``: PHP ended with an uncaught error.
    """

    status: int
    body: bytes | None
    content_type: str | None
    sha1_of: bytes | None = None
    challenge: bool = False
    crashed: bool = False


@dataclass(slots=True)
class Call:
    """One call. ``touched``: ids of the records that were read one by one or written.

    ``managed``: the resource has a way of its own (images, search) and was reached.
    """

    method: str
    segments: list[str]
    params: Vars
    context: ShopContext
    database: Database
    schema: dict[str, Resource]
    config: StoreConfig
    body: bytes
    files: dict[str, Upload]
    json: bool
    now: Callable[[], float]
    authenticated: bool = False
    managed: bool = False
    languages: list[str] = field(default_factory=list)
    permissions: dict[str, frozenset[str]] = field(default_factory=dict)
    touched: list[int] = field(default_factory=list)

    @property
    def resource(self) -> Resource:
        """The resource that the URL names."""
        return self.schema[self.segments[0]]

    @property
    def base_url(self) -> str:
        """What links start with."""
        return self.context.base_url

    def segment(self, index: int) -> str:
        """A part of the URL, empty when it is not there."""
        return self.segments[index] if index < len(self.segments) else ""
