"""Log events: one line each, readable on a terminal, JSON otherwise, never with a secret."""

from __future__ import annotations

import functools
import json as json_codec
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from types import TracebackType
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from agent.log_lines import LogLines

LEVELS: Final = ("debug", "info", "warning", "error")
REDACTED: Final = "(redacted)"
IS_JSON: Final[Mapping[str, bool | None]] = {"auto": None, "text": False, "json": True}
"""What the setting ``log.format`` is for ``configure_logging``."""

_NUMBERS: Final = {level: logging.getLevelNamesMapping()[level.upper()] for level in (*LEVELS, "critical")}
_SECRET_FIELD: Final = re.compile(
    r"(?i)(?:.*[_-])?(?:secret|password|passphrase|token|(?:api|client|ws)[_-]?key|(?:proxy[_-])?authorization|"
    r"(?:set[_-])?cookie|credential)s?"
)
_SECRET_TEXT: Final = re.compile(
    r"(?i)(\b(?:ws_key|_?token|password|secret)=)[^&\s\"']+|(\b(?:basic|bearer) )[a-z0-9._~+/=-]{8,}"
)
_PLAIN_VALUE: Final = re.compile(r"[^\s\"'=\\]+")
_STYLES: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}
_EVENT_COLUMN_CHARS: Final = 24

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


MakeRenderer = Callable[[TextIO, Processor, bool], Processor]
"""From the terminal, what renders other events, and whether in colour, to a renderer."""


def configure_logging(
    level: str, json: bool | None = None, stream: TextIO | None = None, *, on_terminal: MakeRenderer | None = None
) -> None:
    """Send all events of structlog and of stdlib logging to ``stream`` (default: standard error).

    ``level`` is one of ``LEVELS``, or ``critical``. ``json=None`` chooses: text on a terminal, JSON lines otherwise.
    Colours only on a terminal without ``NO_COLOR`` (no-color.org). ``on_terminal`` makes what renders text there. Call
    it once per process, before the first event: bound loggers are cached. asyncssh is never heard below WARNING, since
    its debug output holds the secret.
    """
    out = stream if stream is not None else sys.stderr
    terminal = out.isatty()
    number = _NUMBERS[level]
    renderer: Processor
    if json if json is not None else not terminal:
        renderer = _render_json
    else:
        colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        renderer = _TextRenderer(colour=colour, tracebacks=number <= logging.DEBUG)
        if terminal and on_terminal is not None:
            renderer = on_terminal(out, renderer, colour)
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        redact,
        renderer,
    ]
    lines = LogLines(out)
    _chosen.take(number, lines if renderer is _render_json else None, processors)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(processors, lines)]
    root.setLevel(logging.WARNING)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def is_heard(level: str) -> bool:
    """Are events of ``level`` written at all? Asked before something is put together for every exchange."""
    return _chosen.number <= _NUMBERS[level] or not structlog.is_configured()


def info_lines() -> Callable[[str], None] | None:
    """What takes the fields of a finished JSON line of level INFO (see ``LogLines.soon``).

    None where an event must go through the processors: they write text, or a test listens. Through them a line costs
    40 us, ten times what it costs to put it together by hand, and on a server that is one line per exchange.
    """
    lines, processors = _chosen.lines, _chosen.processors
    if lines is None or not processors or processors[-1] is not _render_json or not structlog.is_configured():
        return None
    return lines.soon


def json_text(text: str) -> str:
    """``text`` as a JSON string, redacted as ``redact`` does it."""
    return encode_basestring(_without_secrets(text) if "=" in text or " " in text else text)


json_word: Final = functools.lru_cache(maxsize=512)(json_text)
"""The same for what comes again and again: names of stores and connections, methods."""


class _Chosen:
    """What ``configure_logging`` chose last, for those that go past structlog."""

    def __init__(self) -> None:
        self.number = logging.NOTSET
        self.lines: LogLines | None = None
        self.processors: Sequence[Processor] = ()

    def take(self, number: int, lines: LogLines | None, processors: Sequence[Processor]) -> None:
        if self.lines is not None:
            self.lines.flush()
        self.number, self.lines, self.processors = number, lines, processors


_chosen: Final = _Chosen()


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what a secret's name or its usual wording gives away; a belt, callers must not pass secrets."""
    for name, value in event.items():
        if _SECRET_FIELD.fullmatch(name):
            event[name] = REDACTED
        elif isinstance(value, str):
            if "=" in value or " " in value:
                event[name] = _without_secrets(value)
        elif isinstance(value, dict):
            event[name] = redact(_logger, _method, dict(value))
    return event


class _Bridge(logging.Handler):
    """Takes records of stdlib logging through the same processors; the logger's name becomes the event."""

    def __init__(self, processors: list[Processor], lines: LogLines) -> None:
        super().__init__()
        self._processors = processors
        self._lines = lines

    def flush(self) -> None:
        """Called by ``logging`` at exit, too."""
        self._lines.flush()

    def emit(self, record: logging.LogRecord) -> None:
        method = record.levelname.lower()
        event: EventDict = {"event": record.name, "message": record.getMessage()}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        rendered: object = event
        for process in self._processors:
            rendered = process(self._lines, method, rendered)  # type: ignore[arg-type]  # narrows step by step
        self._lines.msg(str(rendered))


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    exc_info = _exc_info(event)
    line = {"time": event.pop("time"), "level": event.pop("level"), "event": event.pop("event"), **event}
    if exc_info is not None:
        line["error"] = exc_info[0].__name__
        line["traceback"] = _traceback(exc_info)
    return json_codec.dumps(line, default=str, ensure_ascii=False)


class _TextRenderer:
    """``time level event key=value ...``; values with blanks or control characters are quoted and escaped."""

    def __init__(self, *, colour: bool, tracebacks: bool) -> None:
        self._colour = colour
        self._tracebacks = tracebacks

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        exc_info = _exc_info(event)
        if exc_info is not None:
            event["error"] = exc_info[0].__name__
            event["at"] = _place(exc_info)
        level = event.pop("level")
        time = event.pop("time")
        name = escaped(str(event.pop("event")))
        fields = " ".join(f"{self._styled(key, '36')}={_value(value)}" for key, value in event.items())
        columns = [
            self._styled(time[:19] + "Z", "2"),
            self._styled(f"{level:<7}", _STYLES.get(level, "0")),
            self._styled(f"{name:<{_EVENT_COLUMN_CHARS}}" if fields else name, "1"),
        ]
        line = " ".join([*columns, fields] if fields else columns)
        return f"{line}\n{_traceback(exc_info)}" if exc_info is not None and self._tracebacks else line

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour else text


def _value(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    if _PLAIN_VALUE.fullmatch(text) and text.isprintable():
        return text
    return '"' + escaped(text).replace('"', '\\"') + '"'


def escaped(text: str) -> str:
    """``text`` without a way to move the cursor or to forge a line: the other side may have written it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _without_secrets(text: str) -> str:
    return _SECRET_TEXT.sub(lambda found: (found[1] or found[2]) + REDACTED, text)


def _exc_info(event: EventDict) -> _ExcInfo | None:
    given = event.pop("exc_info", None)
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    found = given if isinstance(given, tuple) else sys.exc_info() if given else None
    return None if found is None or found[0] is None else found


def _traceback(exc_info: _ExcInfo) -> str:
    text = "".join(traceback.format_exception(*exc_info)).rstrip()
    return _without_secrets(text)


def _place(exc_info: _ExcInfo) -> str:
    frames = traceback.extract_tb(exc_info[2])
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
