"""A connection test as the control API streams it: steps are handed on as they come, the last event is kept."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

OnStep = Callable[[dict[str, Any]], None]

_MEDIA_TYPE: Final = "text/event-stream"


class TestEvents:
    """``report`` or ``problem`` is there when the stream has come to its end, and neither when it broke off."""

    __test__ = False  # the name is the product's, not pytest's

    def __init__(self, on_step: OnStep) -> None:
        self.report: dict[str, Any] | None = None
        self.problem: dict[str, Any] | None = None
        self._on_step = on_step
        self._lost: OSError | None = None
        self._name = ""

    def take(self, response: http.client.HTTPResponse) -> bytes:
        """Follow the stream to its end; an answer that is none is given as it came."""
        if not response.headers.get("Content-Type", "").startswith(_MEDIA_TYPE):
            return response.read()
        self.feed(response)
        return b""

    def feed(self, lines: Iterable[bytes]) -> None:
        """Lines as they come; each event has one line of data."""
        for line in lines:
            field, _, value = line.decode("utf-8").rstrip("\n").partition(": ")
            if field == "event":
                self._name = value
            elif field == "data":
                self._event(json.loads(value))
            if self._lost is not None:
                return

    def raise_lost(self) -> None:
        """Raises OSError when ``on_step`` could not write: that is no failure of the connection to the server."""
        if self._lost is not None:
            raise self._lost

    def _event(self, content: dict[str, Any]) -> None:
        if self._name == "report":
            self.report = content
        elif self._name == "problem":
            self.problem = content
        elif self._name == "step":
            try:
                self._on_step(content)
            except OSError as error:
                self._lost = error
