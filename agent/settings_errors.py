"""What is wrong with a setting, in one sentence: where it stands, what was given, what is wanted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agent.errors import SettingsError

_SECRET_KEY: Final = re.compile(r"(?:^|_)(?:secret|password|passphrase|token|key|keys|credential)$", re.IGNORECASE)
_SHOWN_MAX_CHARS: Final = 60
_LISTED_MAX: Final = 16

_IN_WORDS: Final = {
    "missing": "is missing",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "string_type": "must be text",
}
_PATTERNS_IN_WORDS: Final = (  # the start of a pattern, and what it asks for
    ("^[a-z0-9_]", "must be a resource of the webservice, such as products or stock_availables"),
    ("^([1-9]", 'must be the number of a shop, or "all"'),
    ("^/?[A-Za-z0-9_-]", "must be a folder, such as b2b or b2b/fr"),
)

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where settings were read: ``place`` for a sentence; with ``env_prefix`` keys are shown as variables."""

    place: str
    env_prefix: str | None = None

    def key(self, location: Location) -> str:
        """``timeouts.connect_s`` or ``stores[0].url``; in the environment, the variable's name."""
        if self.env_prefix is not None:
            names = [part for part in location if isinstance(part, str)]
            return self.env_prefix + "__".join(names).upper()
        shown = ""
        for part in location:
            shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else part
        return shown


def refuse_unknown(model: type[BaseModel], values: Mapping[str, Any], origin: Origin) -> None:
    """Check every key in ``values`` against the fields of ``model``, tables and lists of tables included.

    Raises:
        SettingsError: for the first key that no field has; it names key, place and the nearest known key.
    """
    refused: Mapping[str, str] = getattr(model, "refused_keys", {})
    _refuse_unknown(model, model, values, origin, (), refused)


def _refuse_unknown(
    root: type[BaseModel],
    model: type[BaseModel],
    values: Mapping[str, Any],
    origin: Origin,
    above: Location,
    refused: Mapping[str, str],
) -> None:
    for name, value in values.items():
        location = (*above, name)
        dotted = ".".join(part for part in location if isinstance(part, str))
        if dotted in refused:
            raise SettingsError(f'The setting "{origin.key(location)}" may not stand {origin.place}: {refused[dotted]}')
        field = model.model_fields.get(name)
        if field is None:
            hint = _nearest(root, model, name, above, origin)
            raise SettingsError(f'Unknown setting "{origin.key(location)}" {origin.place}: {hint}')
        table = table_of(field.annotation)
        if table is None:
            continue
        if isinstance(value, Mapping):
            _refuse_unknown(root, table, value, origin, location, refused)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    _refuse_unknown(root, table, item, origin, (*location, index), refused)


def _nearest(root: type[BaseModel], model: type[BaseModel], name: str, above: Location, origin: Origin) -> str:
    here = list(model.model_fields)
    close = difflib.get_close_matches(name.lower(), here, n=1)
    if close:
        return f'did you mean "{origin.key((*above, close[0]))}"?'
    elsewhere = {key[-1]: key for key in _all_keys(root)}
    close = difflib.get_close_matches(name.lower(), list(elsewhere), n=1, cutoff=0.8)
    if close:
        found = elsewhere[close[0]]
        if len(found) == 1 and above and origin.env_prefix is None:  # appended below a table, as a person would
            return f'"{close[0]}" belongs to no table: move it above the first line that begins with [.'
        return f'did you mean "{origin.key(found)}"?'
    if len(here) <= _LISTED_MAX:
        known = ", ".join(origin.key((*above, key)) for key in here)
        return f"remove it; known here are {known}."
    return "remove it; no known setting has a similar name."


def _all_keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    keys: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        keys.append((*above, name))
        table = table_of(field.annotation)
        if table is not None:
            keys += _all_keys(table, (*above, name))
    return keys


def explain(model: type[BaseModel], error: ValidationError, layers: Sequence[tuple[Origin, Mapping[str, Any]]]) -> str:
    """One sentence for the first problem of ``error``; ``layers`` are the sources, strongest first."""
    problems = error.errors(include_url=False, include_context=True)
    first = problems[0]
    location: Location = tuple(first["loc"])
    origin = _origin(location, first["type"] == "missing", layers)
    more = len(problems) - 1
    tail = f" (and {more} more wrong {'setting' if more == 1 else 'settings'})" if more else ""
    if not location:
        return f"The settings {origin.place} do not fit together: {wanted(first)}{tail}."
    key = origin.key(location)
    if first["type"] == "missing":
        return f'The setting "{key}" is missing {origin.place}: {_description(model, location)}{tail}.'
    given = "" if _SECRET_KEY.search(str(location[-1])) else f" is {_shown(first['input'])} and"
    hint = ""
    is_table = len(location) == 1 and table_of(model.model_fields[str(location[0])].annotation) is not None
    if is_table and first["type"] in {"list_type", "tuple_type"} and isinstance(first["input"], Mapping):
        hint = f" of tables: write [[{key}]], with double brackets"
    return f'The setting "{key}" {origin.place}{given} {wanted(first)}{hint}{tail}.'


def _origin(location: Location, missing: bool, layers: Sequence[tuple[Origin, Mapping[str, Any]]]) -> Origin:
    wanted = location[:-1] if missing else location
    for origin, values in layers:
        level: Any = values
        for depth, part in enumerate(wanted):
            try:
                level = level[part]
            except (KeyError, IndexError, TypeError):
                # The leaf may be inside a value given as a shorthand; a source that has the top key will do.
                level = None if depth == 0 else level
                break
        if wanted and level is not None:
            return origin
    return layers[-1][0]


def wanted(problem: ErrorDetails) -> str:
    """Pydantic's message as the second half of a sentence, without a full stop; nothing of the input is in it."""
    if problem["type"] in _IN_WORDS:
        return _IN_WORDS[problem["type"]]
    pattern = str(problem.get("ctx", {}).get("pattern", ""))
    for start, words in _PATTERNS_IN_WORDS:
        if pattern.startswith(start):
            return words
    message = problem["msg"].rstrip(".")
    if problem["type"] == "value_error":
        return message.removeprefix("Value error, ")
    message = message.partition(", unable to")[0].replace("Input should be", "must be")
    message = re.sub(r"^(?:List|Tuple) should have", "must have", message)
    message = re.sub(r"^String should", "must", message)
    return message.replace(" after validation", "")


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    text = _without_login(value)
    text = text if len(text) <= _SHOWN_MAX_CHARS else text[: _SHOWN_MAX_CHARS - 3] + "..."
    return '"' + text.encode("unicode_escape").decode("ascii") + '"'


def _without_login(value: str) -> str:
    """What follows "?" or stands before "@" in an address may be a secret, and a password may hold / ? and #."""
    text = re.sub(r"//[^/?#]*@", "//...@", value)
    if "@" in text.replace("//...@", "//"):
        return f"{text.partition('//')[0]}//..." if "//" in text else re.sub(r"^.*:.*@", "...@", text, flags=re.DOTALL)
    return re.sub(r"[?#].*", "?...", text, flags=re.DOTALL) if "://" in text else text


def _description(model: type[BaseModel], location: Location) -> str:
    table: type[BaseModel] | None = model
    text = "give it a value"
    for part in location:
        if isinstance(part, int) or table is None:
            continue
        field = table.model_fields.get(part)
        if field is None:
            break
        text = (field.description or text).split(". ")[0].rstrip(".")
        table = table_of(field.annotation)
    return text


def table_of(annotation: object) -> type[BaseModel] | None:
    """The model behind a field: itself, or that of the items of a list or tuple; None for plain values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = table_of(argument)
        if found is not None:
            return found
    return None
