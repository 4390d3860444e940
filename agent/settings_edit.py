"""Changing the stores in the text of a settings file, with every comment kept. Pure: text in, text out.

Sections of ``[[stores]]`` are found by a scanner of our own, so that what stands around them stays as it is to the
byte; inside of one, and in an inline list (``stores = [...]``), tomlkit makes the change. Whatever comes out is read
again by ``tomllib`` and must say exactly what was meant; else the edit is refused and nothing is written.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from agent.errors import SettingsError

BOM: Final = "\ufeff"

_STORES: Final = re.compile(r"""[ \t]*\[\[\s*(?:stores|"stores"|'stores')\s*\]\]""")
_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|#[^\n]*|[\[\]{}\n]", re.DOTALL
)
_BLANK_OR_COMMENT: Final = re.compile(r"\s*(?:#.*)?")
_BY_HAND: Final = (
    "The stores stand in the settings file in a way that this command cannot change with certainty: edit it by hand "
    "(a [[stores]] table for each)."
)

Values = Mapping[str, Any]
"""Keys of one store; None takes a key away."""


def with_store(text: str, values: Values) -> str:
    """``text`` with one more store, behind those that are there. Raises SettingsError."""
    given = {key: value for key, value in values.items() if value is not None}

    def edit(plain: str) -> str:
        if isinstance(tomllib.loads(plain).get("stores"), list) and not _sections(plain):
            return _in_list(plain, lambda stores: stores.append(_inline(given)))
        separator = "" if not plain or plain.endswith("\n\n") else "\n" if plain.endswith("\n") else "\n\n"
        return f"{plain}{separator}[[stores]]\n{tomlkit.dumps(given)}"

    return _edited(text, edit, lambda stores: [*stores, given])


def with_changed_store(text: str, index: int, values: Values) -> str:
    """``text`` with ``values`` in the store at ``index``. Raises SettingsError."""

    def edit(plain: str) -> str:
        sections = _sections(plain)
        if not sections:
            return _in_list(plain, lambda stores: _put(stores[index], values))
        begin, end = sections[index]
        end = _own_end(plain, begin, end)  # a new key goes above the comments that may speak of what comes next
        document = tomlkit.parse(plain[begin:end])
        _put(document["stores"][0], values)  # the section begins with [[stores]]
        return plain[:begin] + tomlkit.dumps(document) + plain[end:]

    return _edited(text, edit, lambda stores: [*stores[:index], _merged(stores[index], values), *stores[index + 1 :]])


def without_store(text: str, index: int) -> str:
    """``text`` without the store at ``index``; comments below its last key, or above it, stay. Raises SettingsError."""

    def edit(plain: str) -> str:
        sections = _sections(plain)
        if not sections:
            return _in_list(plain, lambda stores: stores.pop(index))
        begin, end = sections[index]
        rest = plain[_own_end(plain, begin, end) : end]
        before = plain[:begin]
        if before.endswith("\n\n") or not before:
            rest = rest.lstrip("\n")
        return before + rest + plain[end:]

    return _edited(text, edit, lambda stores: [*stores[:index], *stores[index + 1 :]])


def _edited(text: str, edit: Callable[[str], str], meant: Callable[[list[Any]], list[Any]]) -> str:
    """The new text, in the line ends of the old one, once it is sure that it says what is meant."""
    bom, plain = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    crlf = "\r\n" in plain
    plain = plain.replace("\r\n", "\n")
    wanted = tomllib.loads(plain)
    before = wanted.get("stores", [])
    if not isinstance(before, list):
        raise SettingsError(_BY_HAND)
    wanted["stores"] = meant(before)
    try:
        edited = edit(plain)
        found = tomllib.loads(edited)
    except (TOMLKitError, tomllib.TOMLDecodeError, LookupError, TypeError, ValueError) as error:
        raise SettingsError(_BY_HAND) from error
    found.setdefault("stores", [])
    if found != wanted:
        raise SettingsError(_BY_HAND)
    return bom + (edited.replace("\n", "\r\n") if crlf else edited)


def _sections(plain: str) -> list[tuple[int, int]]:
    """Begin and end of each ``[[stores]]`` section, in their order; the end is where the next header begins."""
    headers = [*_headers(plain), len(plain)]
    return [(begin, end) for begin, end in itertools.pairwise(headers) if _STORES.match(plain, begin)]


def _headers(plain: str) -> Iterator[int]:
    """Where the lines of table headers begin: a bracket that is the first of its line and in no value."""
    depth, line = 0, 0
    for token in _TOKEN.finditer(plain):
        kind = token[0]
        if kind == "\n":
            line = token.end()
        elif kind in "[{":
            if depth == 0 and kind == "[" and not plain[line : token.start()].strip():
                yield line
            depth += 1
        elif kind in "]}":
            depth -= 1


def _own_end(plain: str, begin: int, end: int) -> int:
    """Where a section's own lines end: behind them are blank lines and comments, which may speak of the next one."""
    own = position = begin
    for line in plain[begin:end].splitlines(keepends=True):
        position += len(line)
        if not _BLANK_OR_COMMENT.fullmatch(line.rstrip("\n")):
            own = position
    return own


def _in_list(plain: str, change: Callable[[Any], object]) -> str:
    document = tomlkit.parse(plain)
    stores = document["stores"]
    if not isinstance(stores, Array):
        raise SettingsError(_BY_HAND)
    change(stores)
    return tomlkit.dumps(document)


def _inline(values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an item of tomlkit
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _put(table: Any, values: Values) -> None:  # noqa: ANN401 - a table of tomlkit, inline or not
    for key, value in values.items():
        if value is not None:
            table[key] = value
        elif key in table:
            del table[key]


def _merged(before: Mapping[str, Any], values: Values) -> dict[str, Any]:
    merged = {**before, **values}
    return {key: value for key, value in merged.items() if value is not None}
