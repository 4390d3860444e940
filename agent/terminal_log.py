"""The agent's log for a person at a terminal: sentences, and one line for each exchange."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from agent.log import escaped
from agent.terminal_words import sentence_of

_DIM, _BOLD, _RED, _GREEN, _YELLOW, _CYAN = "2", "1", "31", "32", "33", "36"
_LEVELS: Final = {"debug": _DIM, "warning": _YELLOW, "error": _RED, "critical": _RED}
_EXCHANGES: Final = frozenset({"exchange.done", "exchange.denied", "exchange.failed"})
_STATUSES: Final = {2: _GREEN, 3: _CYAN, 4: _YELLOW, 5: _RED}
_GOOD: Final = frozenset({"tunnel.ready"})
_TIME_CHARS: Final = len("23:59:59 ")
_EXCHANGE_CHARS: Final = _TIME_CHARS + len("DELETE 200 12345 ms 99.9 MB  ")
_BLOCK_CHARS: Final = 15
_WIDTH_DEFAULT: Final = 80
_WIDTH_MIN: Final = 60
_READS: Final = frozenset({"GET", "HEAD"})
_AFTER_CTRL_C: Final = frozenset({"agent.leaving", "agent.left_at_once"})
_UNIT: Final = re.compile(r"(?<=\d) (?=(?:s|ms|min)\b)")
_PIECE: Final = re.compile(r"[^/?& ]*[/?& ]?")
_JOINED: Final = "\0"  # a blank at which no line ends; it never comes from an event, whose text is escaped
_AUTHORITY: Final = re.compile(r"[a-z]+://([^/]*)")


class TerminalRenderer:
    """An event as lines no wider than the terminal; ``otherwise`` renders what has no words here.

    Times are local, to the second: whoever watches wears a watch. The JSON form has the whole of each event.
    """

    def __init__(self, stream: TextIO, otherwise: Processor, colour: bool) -> None:
        self._stream = stream
        self._otherwise = otherwise
        self._colour = colour
        self._told: tuple[str, int] = ("", -1)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """The lines. Raises ``DropEvent`` for what a person need not see."""
        name = event["event"]
        if name in _EXCHANGES:
            return self._exchange(event)
        words = None if event.get("exc_info") else sentence_of(name, self._shortened(event))
        if words is None:
            rendered = self._otherwise(logger, method, event)
            return rendered if isinstance(rendered, str) else str(rendered)
        if words == "":
            raise structlog.DropEvent
        style = _LEVELS.get(event["level"], _GREEN if name in _GOOD else "")
        if name in {"agent.starting", "store.open"}:
            return "\n".join(self._block(words))
        first, *more = (self._styled(line, style) for line in self._wrapped(escaped(words), _TIME_CHARS))
        # The terminal has written ^C where this line begins.
        lead = ("\r" if name in _AFTER_CTRL_C else "") + self._styled(_clock(event["time"]), _DIM)
        return "\n".join([f"{lead} {first}", *(" " * _TIME_CHARS + line for line in more)])

    def _shortened(self, event: EventDict) -> Mapping[str, Any]:
        """What is true of two tunnels is told once."""
        detail, index = event.get("detail"), event.get("index")
        if not isinstance(detail, str) or not isinstance(index, int) or not event["event"].startswith("tunnel."):
            return event
        told, self._told = self._told, (detail, index)
        return event if told[0] != detail or told[1] == index else {**event, "detail": f"The same as tunnel {told[1]}."}

    def _exchange(self, event: EventDict) -> str:
        status, error = int(event.get("status") or 0), event.get("error")
        columns = [
            self._styled(_clock(event["time"]), _DIM),
            self._styled(f"{escaped(str(event['method']))[:6]:<6}", _BOLD),
            self._styled(f"{status or '---':>3}", _RED if error else _STATUSES.get(status // 100, "")),
            f"{_duration(event['ms']):>8}",
            f"{_size(event['bytes_from_store']):>7} ",
        ]
        store = _AUTHORITY.match(str(event.get("store") or ""))
        where = escaped((store[1] if store else "") + str(event["target"]))
        if event["method"] not in _READS:
            where += f" (sent {_size(event['bytes_to_store'])})".replace(" ", _JOINED).replace(_JOINED, " ", 1)
        indent = _EXCHANGE_CHARS if self._width() >= _WIDTH_DEFAULT else _TIME_CHARS
        first, *more = _packed(where, self._width() - _EXCHANGE_CHARS, self._width() - indent)
        shown = [" ".join([*columns, first]), *(" " * indent + line for line in more)]
        if error:
            why = escaped(f"{error}, request {event.get('request_id') or 'without an id'}")
            shown += [" " * indent + self._styled(line, _RED) for line in self._wrapped(why, indent)]
        return "\n".join(shown)

    def _block(self, words: str) -> list[str]:
        """Lines ``name<TAB>text``; one without a name is a heading."""
        shown: list[str] = []
        for line in words.split("\n"):
            name, _, text = line.rpartition("\t")
            if not name:
                shown += [self._styled(part, _BOLD) for part in self._wrapped(escaped(text), 0)]
                continue
            first, *more = self._wrapped(escaped(text), _BLOCK_CHARS)
            shown += [f"  {name:<{_BLOCK_CHARS - 2}}{first}", *(" " * _BLOCK_CHARS + part for part in more)]
        return shown

    def _wrapped(self, text: str, indent: int) -> list[str]:
        """``text`` in lines that leave ``indent`` columns free; a number keeps its unit."""
        joined = _UNIT.sub(_JOINED, text)
        width = max(self._width() - indent, 20)
        return [line.replace(_JOINED, " ") for line in textwrap.wrap(joined, width, break_on_hyphens=False)] or [""]

    def _width(self) -> int:
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return max(columns or _WIDTH_DEFAULT, _WIDTH_MIN)

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour and style else text


def _clock(time: str) -> str:
    """The local time of an ISO 8601 moment."""
    return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")


def _packed(target: str, first_chars: int, more_chars: int) -> list[str]:
    """``target`` in lines, which break before a part of the path or a parameter where they can."""
    lines, room = [""], first_chars
    for piece in _PIECE.findall(target):
        left = piece
        if len(lines[-1]) + len(left) > room and len(left) <= more_chars and lines[-1]:
            lines.append("")
            room = more_chars
        while len(lines[-1]) + len(left) > room:
            cut = room - len(lines[-1])
            lines[-1] += left[:cut]
            left, room = left[cut:], more_chars
            lines.append("")
        lines[-1] += left
    return [line.replace(_JOINED, " ").rstrip() for line in lines if line] or [""]


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


def _size(octets: float) -> str:
    if octets < 1000:
        return f"{octets:.0f} B"
    for unit in ("kB", "MB", "GB"):
        octets /= 1000
        if octets < 999.5:
            return f"{octets:.1f} {unit}" if octets < 99.95 else f"{octets:.0f} {unit}"
    return f"{octets / 1000:.1f} TB"
